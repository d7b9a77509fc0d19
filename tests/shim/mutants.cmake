# A mutant is a shipped source with a line broken on purpose, and a program built against it that must fail: so that a
# test which cannot fail is noticed. The copy is made here, from the source as it stands.
#
#   unknot_mutate(copy name source pattern replacement [pattern replacement]...)
#
# leaves the changed source's path in `copy`, below a folder of its own that may come first among the include paths.
function(unknot_mutate result name source)
    file(READ ${PROJECT_SOURCE_DIR}/${source} text)
    while(ARGN)
        list(POP_FRONT ARGN pattern replacement)
        string(REPLACE "${pattern}" "${replacement}" changed "${text}")
        if(changed STREQUAL text)
            message(FATAL_ERROR "${name} changes nothing: '${pattern}' is no longer in ${source}")
        endif()
        set(text "${changed}")
    endwhile()
    set(copy ${CMAKE_CURRENT_BINARY_DIR}/${name}/${source})
    set(old "")
    if(EXISTS ${copy})
        file(READ ${copy} old)
    endif()
    if(NOT old STREQUAL text)  # else nothing is compiled again
        file(WRITE ${copy} "${text}")
    endif()
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${source})
    set(${result} ${copy} PARENT_SCOPE)
endfunction()

#   unknot_add_stress_mutant(name source pattern replacement [pattern replacement]...)
#
# builds arena_stress as `name` against the changed source; the arena is compiled again with it.
function(unknot_add_stress_mutant name source)
    unknot_mutate(copy ${name} ${source} ${ARGN})
    set(sources "")
    foreach(part arena arena_counts arena_resize arena_rooms arena_spans arena_warm)
        if(source STREQUAL "shim/arena/${part}.cpp")
            list(APPEND sources ${copy})
        else()
            list(APPEND sources ${PROJECT_SOURCE_DIR}/shim/arena/${part}.cpp)
        endif()
    endforeach()
    add_executable(${name} arena_stress.cpp ${sources})
    target_compile_definitions(${name} PRIVATE _GNU_SOURCE)
    target_compile_options(${name} PRIVATE -O2)
    target_include_directories(${name} BEFORE PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/${name})
    target_link_libraries(${name} PRIVATE unknot_parts)  # what the changed objects define is not taken from there
endfunction()

#   unknot_add_snapshot_mutant(name pattern replacement [pattern replacement]...)
#
# builds loaded_objects_test as `name` against a changed shim/loaded_objects.cpp.
function(unknot_add_snapshot_mutant name)
    unknot_mutate(copy ${name} shim/loader/loaded_objects.cpp ${ARGN})
    add_executable(${name} loaded_objects_test.cpp ${copy} ${PROJECT_SOURCE_DIR}/shim/loader/snapshot_walk.cpp)
    target_compile_definitions(${name} PRIVATE _GNU_SOURCE UNKNOT_BINARY_DIR="${CMAKE_BINARY_DIR}")
    target_link_libraries(${name} PRIVATE unknot_parts GTest::gtest_main)
    add_dependencies(${name} snapshot_plugin_0 snapshot_plugin_1)
endfunction()

function(unknot_must_fail name)
    add_test(NAME must_fail.${name} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/must_fail $<TARGET_FILE:${name}> ${ARGN})
    set_tests_properties(must_fail.${name} PROPERTIES TIMEOUT 120)
endfunction()
