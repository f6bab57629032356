# The tools on PATH as facetime-*, with man pages, and what a package of Debian has in share/doc.
#
# SPDX-License-Identifier: GPL-2.0-or-later

set(facetime_tools call-report two-ends wash-capture check-capture split-calls facetime-many)
set(facetime_doc share/doc/wireshark-facetime)
find_program(facetime_gzip gzip REQUIRED)

# compressed(SOURCE NAME FOLDER): installs it as Debian wants it, and without a time, so that builds are the same.
function(compressed source name folder)
    set(packed ${CMAKE_BINARY_DIR}/share/${name}.gz)
    file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/share)
    execute_process(COMMAND ${facetime_gzip} -9nc ${source} OUTPUT_FILE ${packed} COMMAND_ERROR_IS_FATAL ANY)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
    install(FILES ${packed} DESTINATION ${folder})
endfunction()

file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
foreach(tool ${facetime_tools})
    install(PROGRAMS tools/${tool} DESTINATION share/facetime/tools)
    string(REGEX REPLACE "^facetime-" "" command ${tool})
    set(command facetime-${command})
    file(CREATE_LINK ../share/facetime/tools/${tool} ${CMAKE_BINARY_DIR}/bin/${command} SYMBOLIC)
    install(FILES ${CMAKE_BINARY_DIR}/bin/${command} DESTINATION bin)
    compressed(${CMAKE_CURRENT_SOURCE_DIR}/docs/man/${command}.1 ${command}.1 share/man/man1)
endforeach()
install(FILES tools/lib.sh DESTINATION share/facetime/tools)
install(DIRECTORY tools/many tools/report tools/washing DESTINATION share/facetime/tools PATTERN __pycache__ EXCLUDE)
install(FILES tests/consistency.py tests/novelty.py DESTINATION share/facetime/tests) # check-capture's

string(TIMESTAMP facetime_date "%a, %d %b %Y %H:%M:%S +0000" UTC)
configure_file(cmake/changelog.Debian.in share/changelog.Debian @ONLY)
compressed(${CMAKE_BINARY_DIR}/share/changelog.Debian changelog.Debian ${facetime_doc})
compressed(${CMAKE_CURRENT_SOURCE_DIR}/CHANGELOG.md changelog ${facetime_doc})
install(FILES cmake/copyright DESTINATION ${facetime_doc})
