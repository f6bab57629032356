# Where the plugin and its profile go, and the packages.
#
# SPDX-License-Identifier: GPL-2.0-or-later

option(USER_INSTALL "Install for this user alone, into the personal Wireshark folders" OFF)

# Wireshark's own name for the folder of a version: 4.6, on macOS 4-6. (macOS and Windows: from Wireshark's sources, untested.)
set(facetime_ws_version ${Wireshark_MAJOR_VERSION}.${Wireshark_MINOR_VERSION})
set(facetime_ws_folder ${facetime_ws_version})
file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/wireshark-version ${facetime_ws_version}) # tools/lib.sh reads it
if(APPLE)
    string(REPLACE "." "-" facetime_ws_folder ${facetime_ws_version})
endif()

if(USER_INSTALL AND WIN32)
    file(TO_CMAKE_PATH "$ENV{APPDATA}/Wireshark" facetime_prefix)
    set(facetime_plugin_folder plugins/${facetime_ws_folder}/epan)
    set(facetime_profile_folder profiles)
elseif(USER_INSTALL)
    set(facetime_prefix $ENV{HOME})
    set(facetime_plugin_folder .local/lib/wireshark/plugins/${facetime_ws_folder}/epan)
    set(facetime_profile_folder .config/wireshark/profiles)
else()
    # Wireshark looks beside itself, not in /usr/local
    set(facetime_prefix ${Wireshark_INSTALL_PREFIX})
    set(facetime_plugin_folder ${Wireshark_PLUGIN_LIBDIR}/epan)
    set(facetime_profile_folder share/wireshark/profiles)
endif()
# Ours where nobody chose another: also where this build folder was configured before, with the other USER_INSTALL.
if(CMAKE_INSTALL_PREFIX_INITIALIZED_TO_DEFAULT OR CMAKE_INSTALL_PREFIX STREQUAL facetime_default_prefix)
    set(CMAKE_INSTALL_PREFIX ${facetime_prefix} CACHE PATH "Where Wireshark looks for plugins and profiles" FORCE)
    set(facetime_default_prefix ${facetime_prefix} CACHE INTERNAL "The prefix that was chosen for lack of another")
endif()

install(TARGETS facetime LIBRARY DESTINATION ${facetime_plugin_folder})
install(CODE "
    set(facetime_profile_source \"${CMAKE_CURRENT_SOURCE_DIR}/profile/FaceTime\")
    set(facetime_profile_folder \"\${CMAKE_INSTALL_PREFIX}/${facetime_profile_folder}\")
    set(facetime_installed \"${CMAKE_BINARY_DIR}/installed\")
    include(\"${CMAKE_CURRENT_SOURCE_DIR}/cmake/install-profile.cmake\")")

add_custom_target(uninstall
    COMMAND ${CMAKE_COMMAND} -DMANIFEST=${CMAKE_BINARY_DIR}/install_manifest.txt
        -P ${CMAKE_CURRENT_LIST_DIR}/uninstall.cmake
    COMMENT "Removing what the last install put there")

set(CPACK_PACKAGE_NAME wireshark-facetime)
set(CPACK_PACKAGE_VENDOR "The FaceTime plugin authors")
set(CPACK_PACKAGE_CONTACT "The FaceTime plugin authors <facetime-plugin@example.org>") # to be reached by nobody
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "FaceTime calls in Wireshark: STUN, SIP, relay, media")
set(CPACK_RESOURCE_FILE_LICENSE ${CMAKE_CURRENT_SOURCE_DIR}/LICENSE)
string(TOLOWER ${CMAKE_SYSTEM_NAME} facetime_system)
set(CPACK_PACKAGE_FILE_NAME
    facetime-${PROJECT_VERSION}-${facetime_system}-${CMAKE_SYSTEM_PROCESSOR}-wireshark-${facetime_ws_version})
set(CPACK_PACKAGING_INSTALL_PREFIX ${facetime_prefix})
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}) # else where cpack is started
set(CPACK_GENERATOR TGZ)
find_program(facetime_dpkg dpkg)
if(facetime_dpkg AND NOT USER_INSTALL)
    list(APPEND CPACK_GENERATOR DEB)
endif()
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON) # names the libwireshark that this build fits
set(CPACK_DEBIAN_PACKAGE_DEPENDS "tshark, python3")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "python3-jinja2, libjs-dygraphs, parallel, tcpdump")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "Dissectors, statistics and a profile; and tools that report
on calls, compare two captures of one call, gather those of many captures in a
database, and wash, check and split captures.")
set(CPACK_STRIP_FILES ON)
if(NOT USER_INSTALL)
    include(cmake/tools.cmake)
endif()
include(CPack)
