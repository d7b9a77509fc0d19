# Only an archive brings the script that installs it.
file(COPY ${CMAKE_CURRENT_LIST_DIR}/install DESTINATION ${CMAKE_INSTALL_PREFIX})
