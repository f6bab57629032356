# Removes the files that install_manifest.txt names.
#
# SPDX-License-Identifier: GPL-2.0-or-later

if(NOT EXISTS ${MANIFEST})
    message(FATAL_ERROR "Nothing was installed from this build folder: there is no ${MANIFEST}")
endif()
file(STRINGS ${MANIFEST} files)
foreach(file ${files})
    set(file $ENV{DESTDIR}${file})
    if(EXISTS ${file} OR IS_SYMLINK ${file})
        message(STATUS "Removing ${file}")
        file(REMOVE ${file})
    endif()
endforeach()
foreach(file ${files})
    # the profile's own folder, once it is empty
    get_filename_component(folder $ENV{DESTDIR}${file} DIRECTORY)
    get_filename_component(name ${folder} NAME)
    file(GLOB left ${folder}/*)
    if(name STREQUAL FaceTime AND NOT left)
        file(REMOVE_RECURSE ${folder})
    endif()
endforeach()
