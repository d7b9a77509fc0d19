# A mutant is a shipped source with one line broken on purpose, and a program built against it that must fail: so that a
# test which cannot fail is noticed. The copy is made here, from the source as it stands.
function(unknot_mutate name source pattern replacement)
    file(READ ${PROJECT_SOURCE_DIR}/${source} text)
    string(REPLACE "${pattern}" "${replacement}" broken "${text}")
    if(broken STREQUAL text)
        message(FATAL_ERROR "The mutant ${name} changes nothing: '${pattern}' is no longer in ${source}")
    endif()
    file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/${name}/${source} "${broken}")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${source})
endfunction()

# arena_stress against a broken header; `shim/arena.cpp` is compiled again with it.
function(unknot_add_stress_mutant name source pattern replacement)
    unknot_mutate(${name} ${source} "${pattern}" "${replacement}")
    add_executable(${name} arena_stress.cpp ${PROJECT_SOURCE_DIR}/shim/arena.cpp ${PROJECT_SOURCE_DIR}/shim/report.cpp)
    target_compile_definitions(${name} PRIVATE _GNU_SOURCE)
    target_compile_options(${name} PRIVATE -O2)
    target_include_directories(${name} BEFORE PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/${name})
    target_link_libraries(${name} PRIVATE unknot_policy Threads::Threads)
    add_test(NAME must_fail.${name} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/must_fail $<TARGET_FILE:${name}> 3000000)
    set_tests_properties(must_fail.${name} PROPERTIES TIMEOUT 120)
endfunction()
