# The plugin below plugins/epan/ of Wireshark's own sources (docs/installing.md): their flags, their folders, no tests and
# no packages of ours.
#
# SPDX-License-Identifier: GPL-2.0-or-later

include(WiresharkPlugin)
set_module_info(facetime ${PROJECT_VERSION_MAJOR} ${PROJECT_VERSION_MINOR} ${PROJECT_VERSION_PATCH} 0)

set(PLUGIN_FILES ${FACETIME_SOURCES} sdp_inflate/sdp_inflate.c)
add_wireshark_plugin_library(facetime epan)
target_include_directories(facetime PRIVATE sdp_inflate)
target_include_directories(facetime SYSTEM PRIVATE ${ZLIB_INCLUDE_DIRS})
target_compile_definitions(facetime PRIVATE ${FACETIME_DEFINITIONS})
target_link_libraries(facetime epan ${ZLIB_LIBRARIES})
install_plugin(facetime epan)

set(facetime_data_folder ${CMAKE_INSTALL_DATADIR}) # "share/wireshark" in 4.0, "share" in 4.4
if(NOT facetime_data_folder MATCHES "/wireshark$")
    string(APPEND facetime_data_folder /wireshark)
endif()
install(DIRECTORY profile/FaceTime DESTINATION ${facetime_data_folder}/profiles)
