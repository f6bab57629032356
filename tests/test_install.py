# SPDX-License-Identifier: GPL-2.0-or-later
"""Installing, for all and for one user; taking it away again; packages; a plugin built for another Wireshark."""

import gzip
import hashlib
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tarfile

import pytest

import support

PROFILE = sorted(path.name for path in (support.ROOT / "profile" / "FaceTime").iterdir())
PROJECT = re.search(r"project\(facetime VERSION ([0-9.]+)", (support.ROOT / "CMakeLists.txt").read_text())[1]


def run(*args, **how):
    how = {"timeout": support.TIME_LIMIT, **how}
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True, **how)
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


TOOLS = ("call-report", "check-capture", "split-calls", "two-ends", "wash-capture")
PROGRAMS, COMMANDS = (*TOOLS, "facetime-many"), (*TOOLS, "many")   # as they are called in tools/, and installed
FOR_ALL = sorted([*(f"usr/bin/facetime-{tool}" for tool in COMMANDS), *(f"usr/share/facetime/tools/{tool}" for tool in PROGRAMS),
                  *(f"usr/share/man/man1/facetime-{tool}.1.gz" for tool in COMMANDS), "usr/share/facetime/tools/lib.sh",
                  *(f"usr/share/facetime/tests/{name}.py" for name in ("consistency", "novelty")),
                  *(f"usr/share/facetime/tools/{path.relative_to(support.ROOT / 'tools')}"
                    for part in ("many/*.*", "report/*.*", "washing/*.py") for path in (support.ROOT / "tools").glob(part)),
                  *(f"usr/share/doc/wireshark-facetime/{name}" for name in ("changelog.Debian.gz", "changelog.gz", "copyright"))])


def wanted(tshark, plugins, profiles, more=()):
    epan = "{}.{}/epan".format(*tshark.version)
    return sorted([f"{plugins}/{epan}/facetime.so", *(f"{profiles}/FaceTime/{name}" for name in PROFILE), *more])


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
    assert files_below(tmp_path) == wanted(tshark, plugins, "usr/share/wireshark/profiles", FOR_ALL)


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
    assert "server" in first.split(), "the profile's column with the path"


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
    assert len(files_below(tmp_path)) == 2 + len(PROFILE) + len(FOR_ALL)
    uninstall(for_all, tmp_path)
    assert files_below(tmp_path) == ["usr/share/wireshark/profiles/Mine/preferences"]
    assert not (tmp_path / "usr/share/wireshark/profiles/FaceTime").exists()


def uninstall(folder, destination):
    return run("cmake", f"-DMANIFEST={folder}/install_manifest.txt", "-P", support.ROOT / "cmake" / "uninstall.cmake",
               env={**os.environ, "DESTDIR": str(destination)})


def test_a_changed_profile_is_kept(for_all, tmp_path):
    """By the next installation, and by uninstalling; what is as it was installed goes."""
    profile = tmp_path / "usr/share/wireshark/profiles/FaceTime"
    install(for_all, tmp_path)
    (profile / "preferences").write_text("# mine\n")
    (profile / "recent").write_text("# Wireshark's\n")
    (profile / "colorfilters").unlink()
    install(for_all, tmp_path)
    assert (profile / "preferences").read_text() == "# mine\n"
    assert (profile / "colorfilters").exists(), "what is gone comes again"
    uninstall(for_all, tmp_path)
    assert sorted(path.name for path in profile.iterdir()) == ["preferences", "recent"]


def test_a_profile_changed_after_the_last_installation_is_kept(for_all, tmp_path):
    profile = tmp_path / "usr/share/wireshark/profiles/FaceTime"
    install(for_all, tmp_path)
    (profile / "preferences").write_text("# mine\n")
    assert "Keeping" in uninstall(for_all, tmp_path)
    assert [path.name for path in profile.iterdir()] == ["preferences"]


def test_a_changed_profile_is_kept_by_another_build(for_all, build, tmp_path):
    """A new clone doesn't know what an older one installed: it replaces nothing that differs."""
    profile = tmp_path / "usr/share/wireshark/profiles/FaceTime"
    install(for_all, tmp_path)
    (profile / "preferences").write_text("# mine\n")
    install(build(), tmp_path)
    assert (profile / "preferences").read_text() == "# mine\n"


def test_an_unchanged_profile_is_renewed(for_all, tmp_path):
    """What this build folder installed and nobody touched is replaced by what the sources have now."""
    profile = tmp_path / "usr/share/wireshark/profiles/FaceTime"
    install(for_all, tmp_path)
    old = "# an older version's\n"
    (profile / "preferences").write_text(old)
    record = hashlib.sha256(str(profile / "preferences").encode()).hexdigest()
    (for_all / "installed" / record).write_text(hashlib.sha256(old.encode()).hexdigest())
    install(for_all, tmp_path)
    assert (profile / "preferences").read_bytes() == (support.ROOT / "profile/FaceTime/preferences").read_bytes()


def test_uninstall_without_an_installation_says_so(tmp_path):
    done = subprocess.run(["cmake", f"-DMANIFEST={tmp_path}/none", "-P", support.ROOT / "cmake" / "uninstall.cmake"],
                          capture_output=True, text=True)
    assert done.returncode != 0 and "Nothing was installed" in done.stderr


def documented(word):
    """The command of README.md, "Install", with that word."""
    section = (support.ROOT / "README.md").read_text().split("\n## Install\n")[1].split("\n## ")[0]
    commands = [line for line in re.split(r"[`\n]+", section) if line.startswith(("cmake", "cpack")) and word in line]
    assert len(commands) == 1, commands
    return commands[0].replace("sudo ", "")


def as_documented(word, tree, **environment):
    environment = {**os.environ, "DESTDIR": "", "CMAKE_BUILD_PARALLEL_LEVEL": str(os.cpu_count() or 1),
                   "CMAKE_BUILD_TYPE": "Debug", **environment}     # as it is built quickest
    run("bash", "-c", documented(word), cwd=tree, env=environment, timeout=3 * support.TIME_LIMIT)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A tree as it is after `git clone`, installed for one user as README.md says: the only test that builds the plugin."""
    tree = tmp_path_factory.mktemp("clone") / "facetime"
    shutil.copytree(support.ROOT, tree, symlinks=True,
                    ignore=shutil.ignore_patterns("build*", ".git", "__pycache__", ".cache", ".pytest_cache"))
    before = files_below(tree)
    as_documented("USER_INSTALL=ON", tree, HOME=str(tree.parent / "home"))
    return tree, before


@pytest.fixture(scope="module")
def packages(clone):
    """The folder with the packages."""
    tree, _ = clone
    as_documented("USER_INSTALL=OFF", tree, DESTDIR=str(tree.parent / "all"))
    as_documented("cpack", tree)
    return tree / "build"


def test_a_fresh_clone_for_one_user(clone, tshark):
    assert files_below(clone[0].parent / "home") == wanted(tshark, ".local/lib/wireshark/plugins",
                                                           ".config/wireshark/profiles")


def test_a_fresh_clone_for_all(clone, packages, for_all, tmp_path):
    install(for_all, tmp_path)
    assert files_below(clone[0].parent / "all") == files_below(tmp_path)


def test_packages_leave_the_sources_alone(clone, packages):
    tree, before = clone
    assert [file for file in files_below(tree) if not file.startswith("build/")] == before


def name(tshark):
    return "facetime-{}-{}-{}-wireshark-{}.{}".format(PROJECT, platform.system().lower(), platform.machine(),
                                                      *tshark.version)


def test_tar(packages, global_folder, tshark):
    with tarfile.open(packages / (name(tshark) + ".tar.gz")) as archive:
        files = sorted(member.name for member in archive if not member.isdir())
    plugins = str(pathlib.Path(global_folder).parent).lstrip("/")
    assert [file.removeprefix(name(tshark) + "/") for file in files] == wanted(
        tshark, plugins, "usr/share/wireshark/profiles", FOR_ALL)


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="not a Debian system")
def test_deb(packages, global_folder, tshark):
    package = packages / (name(tshark) + ".deb")
    files = [line.split(" -> ")[0].split()[-1] for line in run("dpkg-deb", "-c", package).splitlines()
             if not line.endswith("/")]
    plugins = str(pathlib.Path(global_folder).parent).lstrip("/")
    assert sorted(file.removeprefix("./") for file in files) == wanted(tshark, plugins, "usr/share/wireshark/profiles", FOR_ALL)
    depends = run("dpkg-deb", "-f", package, "Depends")
    library = re.search(r"libwireshark\.so\.(\d+)", run("ldd", support.PLUGIN))[1]
    assert re.search(rf"\blibwireshark{library}(t64)?\b", depends), depends
    assert run("dpkg-deb", "-f", package, "Package").strip() == "wireshark-facetime"


@pytest.mark.skipif(not shutil.which("lintian"), reason="no lintian")
def test_lintian_finds_no_error(packages, tshark):
    done = subprocess.run(["lintian", packages / (name(tshark) + ".deb")], capture_output=True, text=True)
    assert done.returncode == 0 and "E: " not in done.stdout, done.stdout + done.stderr


@pytest.fixture(scope="module")
def unpacked(packages, tshark, tmp_path_factory):
    """The package's files, in a folder of their own."""
    folder = tmp_path_factory.mktemp("unpacked")
    run("dpkg-deb", "-x", packages / (name(tshark) + ".deb"), folder)
    return folder / "usr"


def started(unpacked, tshark, program, folder, tool, arguments):
    """An installed tool, run there; a capture of ours is named without its ending."""
    captures = {path.stem: path for path in support.TEST_CAPTURES.iterdir()}
    arguments = [tshark._readable(captures[a]) if a in captures else a for a in arguments]
    environment = {key: value for key, value in os.environ.items() if key != "BUILD_DIR"}
    environment |= {"TSHARK": str(program), "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run([unpacked / "bin" / f"facetime-{tool}", *arguments], cwd=folder, env=environment,
                          capture_output=True, text=True, timeout=support.TIME_LIMIT)


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="not a Debian system")
def test_two_ends_is_installed(unpacked, tshark, program, tmp_path):
    """It reads both captures; that they are one and the same is found by comparing them."""
    done = started(unpacked, tshark, program, tmp_path, "two-ends", ["facetime-caller", "facetime-caller"])
    assert done.returncode == 1 and done.stderr.startswith("two-ends: no media packet"), done.stderr


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="not a Debian system")
@pytest.mark.parametrize("tool, arguments, result", [
    ("call-report", ["facetime-caller", "-o", "out.html"], "out.html"),
    ("wash-capture", ["facetime-caller", "out.pcapng"], "out.pcapng"),
    ("check-capture", ["facetime-caller"], None),
    ("check-capture", ["--novelty", "facetime-caller"], None),
    ("split-calls", ["calls-in-sequence", "parts", "1"], "parts/part-0001.pcapng"),
    ("many", ["calls-in-sequence", "--db", "calls.db"], "calls.db"),
])
def test_installed_tools(unpacked, tshark, program, tmp_path, tool, arguments, result):
    """They find what they need beside themselves, and the plugin in tshark."""
    done = started(unpacked, tshark, program, tmp_path, tool, arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert result is None or (tmp_path / result).stat().st_size > 100


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="not a Debian system")
@pytest.mark.parametrize("tool", COMMANDS)
def test_man_pages(unpacked, tool):
    page = gzip.decompress((unpacked / f"share/man/man1/facetime-{tool}.1.gz").read_bytes()).decode()
    sections = re.findall(r"^\.SH (.*)$", page, re.MULTILINE)
    assert {"NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS"} <= set(sections)


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


@pytest.mark.parametrize("tool", TOOLS)
def test_tools_say_how_they_are_used(tool):
    """As in their man pages: on standard output, and it is no error to ask."""
    assert tool in run(support.ROOT / "tools" / tool, "--help")
