# install_by_renaming(FOLDER TARGET...): installs the targets as new files beside their places and renames them. Writing
# into the file that is there ends every process that has mapped it; a rename leaves those the old file.
function(install_by_renaming folder)
    set(place ${folder})
    if(NOT IS_ABSOLUTE ${folder})
        set(place "\${CMAKE_INSTALL_PREFIX}/${folder}")
    endif()
    set(incoming .unknot-incoming)
    install(TARGETS ${ARGN} LIBRARY DESTINATION ${folder}/${incoming} RUNTIME DESTINATION ${folder}/${incoming})
    foreach(target ${ARGN})
        install(CODE "
            set(place \"\$ENV{DESTDIR}${place}\")
            set(name \"$<TARGET_FILE_NAME:${target}>\")
            message(STATUS \"Renaming: \${place}/\${name}\")
            file(RENAME \"\${place}/${incoming}/\${name}\" \"\${place}/\${name}\")
            string(REPLACE \"/${incoming}/\${name}\" \"/\${name}\" CMAKE_INSTALL_MANIFEST_FILES
                \"\${CMAKE_INSTALL_MANIFEST_FILES}\")")
    endforeach()
    install(CODE "file(REMOVE_RECURSE \"\$ENV{DESTDIR}${place}/${incoming}\")")
endfunction()
