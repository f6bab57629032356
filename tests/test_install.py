# SPDX-License-Identifier: GPL-2.0-or-later
"""Installing, for all and for one user; taking it away again; packages; a plugin built for another Wireshark."""

import os
import pathlib
import platform
import re
import shutil
import subprocess
import tarfile

import pytest

import support

PROFILE = sorted(path.name for path in (support.ROOT / "profile" / "FaceTime").iterdir())
PROJECT = re.search(r"project\(facetime VERSION ([0-9.]+)", (support.ROOT / "CMakeLists.txt").read_text())[1]


def run(*args, **how):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=support.TIME_LIMIT, **how)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """build(*options): a configured build folder, into which the plugin under test is put instead of being built again."""
    def configure(*options, **environment):
        folder = tmp_path_factory.mktemp("build")
        run("cmake", "-S", support.ROOT, "-B", folder, "-DBUILD_TESTING=OFF", *options,
            env={**os.environ, "DESTDIR": "", **environment})
        shutil.copy(support.PLUGIN, folder / "facetime.so")
        return folder
    return configure


def install(folder, destination=""):
    run("cmake", "-P", folder / "cmake_install.cmake", env={**os.environ, "DESTDIR": str(destination)}, cwd=folder)


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def wanted(tshark, plugins, profiles):
    epan = "{}.{}/epan".format(*tshark.version)
    return sorted([f"{plugins}/{epan}/facetime.so", *(f"{profiles}/FaceTime/{name}" for name in PROFILE)])


@pytest.fixture(scope="module")
def for_all(build):
    return build()


@pytest.fixture(scope="module")
def global_folder(tshark):
    """Where this Wireshark says that it looks for plugins: /usr/lib/.../wireshark/plugins/4.0"""
    return next(row[1].strip() for row in _folders() if row[0].strip() == "Global Plugins:")


def _folders():
    return [line.split("\t", 1) for line in run(support.TSHARK, "-G", "folders").splitlines() if "\t" in line]


def test_for_all(for_all, global_folder, tshark, tmp_path):
    install(for_all, tmp_path)
    plugins = str(pathlib.Path(global_folder).parent).lstrip("/")
    assert files_below(tmp_path) == wanted(tshark, plugins, "usr/share/wireshark/profiles")


@pytest.mark.skipif("FACETIME_PRELOAD" in os.environ, reason="a plugin with sanitizers needs their runtimes")
def test_for_one_user(build, tshark):
    """And Wireshark finds both there."""
    home = support.stage() / "user"
    home.mkdir()
    install(build("-DUSER_INSTALL=ON", HOME=str(home)))
    assert files_below(home) == wanted(tshark, ".local/lib/wireshark/plugins", ".config/wireshark/profiles")
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    assert str(home / ".local/lib/wireshark/plugins") in run(*tshark.command, support.TSHARK, "-G", "plugins",
                                                             env=environment)
    capture = support.write_capture((support.TEST_CAPTURES / "modern-snatmap.pcapng").read_bytes())
    first = run(*tshark.command, support.TSHARK, "-C", "FaceTime", "-n", "-r", capture, env=environment).split("\n")[0]
    assert "snatmap" in first.split(), "the profile's column with the kind"


def test_another_choice_in_the_same_folder(for_all, build, tshark, tmp_path):
    """As after ./demo: for all first, then for one user, and back."""
    home = tmp_path / "home"
    folder = build()
    for option, root in (("ON", home), ("OFF", tmp_path / "all")):
        run("cmake", f"-DUSER_INSTALL={option}", folder, env={**os.environ, "HOME": str(home)})
        install(folder, "" if option == "ON" else root)
    assert files_below(home) == wanted(tshark, ".local/lib/wireshark/plugins", ".config/wireshark/profiles")
    install(for_all, tmp_path / "reference")
    assert files_below(tmp_path / "all") == files_below(tmp_path / "reference")


def test_a_prefix_of_ones_own_is_kept(build, tmp_path):
    folder = build(f"-DCMAKE_INSTALL_PREFIX={tmp_path}/mine")
    run("cmake", "-DUSER_INSTALL=ON", folder)
    assert f"CMAKE_INSTALL_PREFIX:PATH={tmp_path}/mine" in (folder / "CMakeCache.txt").read_text()


def test_uninstall(for_all, tmp_path):
    (tmp_path / "usr/share/wireshark/profiles/Mine").mkdir(parents=True)
    (tmp_path / "usr/share/wireshark/profiles/Mine/preferences").write_text("# mine\n")
    install(for_all, tmp_path)
    assert len(files_below(tmp_path)) == 2 + len(PROFILE)
    script = support.ROOT / "cmake" / "uninstall.cmake"
    run("cmake", f"-DMANIFEST={for_all}/install_manifest.txt", "-P", script,
        env={**os.environ, "DESTDIR": str(tmp_path)})
    assert files_below(tmp_path) == ["usr/share/wireshark/profiles/Mine/preferences"]
    assert not (tmp_path / "usr/share/wireshark/profiles/FaceTime").exists()


def test_uninstall_without_an_installation_says_so(tmp_path):
    done = subprocess.run(["cmake", f"-DMANIFEST={tmp_path}/none", "-P", support.ROOT / "cmake" / "uninstall.cmake"],
                          capture_output=True, text=True)
    assert done.returncode != 0 and "Nothing was installed" in done.stderr


@pytest.fixture(scope="module")
def packages(build, tmp_path_factory):
    """The folder with the packages: the only test that builds the plugin."""
    folder = build()
    out = tmp_path_factory.mktemp("packages")
    run("cmake", "--build", folder, "--parallel", os.cpu_count() or 1, "--target", "package")
    for path in [*folder.glob("facetime-*.deb"), *folder.glob("facetime-*.tar.gz")]:
        shutil.copy(path, out)
    return out


def name(tshark):
    return "facetime-{}-{}-{}-wireshark-{}.{}".format(PROJECT, platform.system().lower(), platform.machine(),
                                                      *tshark.version)


def test_tar(packages, global_folder, tshark):
    with tarfile.open(packages / (name(tshark) + ".tar.gz")) as archive:
        files = sorted(member.name for member in archive if member.isfile())
    plugins = str(pathlib.Path(global_folder).parent).lstrip("/")
    assert [file.removeprefix(name(tshark) + "/") for file in files] == wanted(
        tshark, plugins, "usr/share/wireshark/profiles")


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="not a Debian system")
def test_deb(packages, global_folder, tshark):
    package = packages / (name(tshark) + ".deb")
    files = [line.split()[-1] for line in run("dpkg-deb", "-c", package).splitlines() if not line.endswith("/")]
    plugins = str(pathlib.Path(global_folder).parent).lstrip("/")
    assert sorted(file.removeprefix("./") for file in files) == wanted(tshark, plugins, "usr/share/wireshark/profiles")
    depends = run("dpkg-deb", "-f", package, "Depends")
    library = re.search(r"libwireshark\.so\.(\d+)", run("ldd", support.PLUGIN))[1]
    assert re.search(rf"\blibwireshark{library}(t64)?\b", depends), depends
    assert run("dpkg-deb", "-f", package, "Package").strip() == "wireshark-facetime"


def complaints(plugin_bytes, name):
    """What tshark says when it finds this plugin, which it must not load."""
    other = support.stage() / name
    other.write_bytes(plugin_bytes)
    program = support.Tshark(other)
    done = subprocess.run([*program.command, program.program, "-G", "plugins"], env=program.environment,
                          cwd=program.home, capture_output=True, text=True)
    assert "facetime.so" not in done.stdout
    return done.stderr


def test_a_plugin_for_another_version():
    """Wireshark's own words say what is wrong: the library of the version it was built for isn't there."""
    library = re.search(rb"libwireshark\.so\.\d+\0", support.PLUGIN.read_bytes())[0]
    other = library[:-3] + b"00\0"
    assert f"Couldn't load plugin 'facetime.so': {other[:-1].decode()}: cannot open" in complaints(
        support.PLUGIN.read_bytes().replace(library, other), "library.so")


def test_a_plugin_for_another_version_whose_library_is_there(tshark):
    """Two versions beside each other: then it is the version that the plugin itself tells."""
    major, minor, _ = tshark.version
    data = bytearray(support.PLUGIN.read_bytes())
    symbols = run("nm", "-D", support.PLUGIN)
    address = int(re.search(r"^([0-9a-f]+) R plugin_want_minor$", symbols, re.MULTILINE)[1], 16)
    assert data[address:address + 4] == minor.to_bytes(4, "little"), "constants stand in the file as in memory"
    data[address:address + 4] = (minor + 2).to_bytes(4, "little")
    told = complaints(bytes(data), "minor.so")
    assert "facetime.so' was compiled for" in told and f"{major}.{minor + 2}" in told
