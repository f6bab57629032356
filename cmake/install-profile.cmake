# Installs the profile, but for files that the user changed. facetime_profile_source and _folder are set; what was put where is
# remembered in facetime_installed, a file with the checksum for each.
#
# SPDX-License-Identifier: GPL-2.0-or-later

get_filename_component(name ${facetime_profile_source} NAME)
file(GLOB sources ${facetime_profile_source}/*)
foreach(source ${sources})
    get_filename_component(file ${source} NAME)
    set(target "$ENV{DESTDIR}${facetime_profile_folder}/${name}/${file}")
    string(SHA256 record "${target}")
    set(record ${facetime_installed}/${record})
    file(SHA256 ${source} new)
    set(known ${new})
    if(EXISTS ${record})
        file(READ ${record} known)
    endif()
    set(there ${new})
    if(EXISTS "${target}")
        file(SHA256 "${target}" there)
    endif()
    if(there STREQUAL new OR there STREQUAL known)
        file(INSTALL ${source} DESTINATION "${facetime_profile_folder}/${name}")
        file(WRITE ${record} ${new})
    else()
        message(STATUS "Keeping ${target}: it was changed, or is another version's. The new one: ${source}")
    endif()
endforeach()
