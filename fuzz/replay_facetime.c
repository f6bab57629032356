/* fuzz/replay_facetime.c
 * Runs inputs of fuzz_facetime without libFuzzer, with any compiler, on a plugin that is built
 * as users get it:
 *   replay_facetime facetime.so FILE...          inputs, each in a file (a capture) of its own
 *   replay_facetime facetime.so --log FILE       the inputs of a FUZZ_LOG, in one file
 * It ends as the plugin does: well, or by a signal or a sanitizer. FUZZ_COMPARE and
 * FUZZ_INPUTS_PER_FILE as in fuzz_facetime.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void plugin_register(void);

static void *plugin;

void
plugin_register(void)
{
    void (*register_it)(void) = NULL;

    *(void **)&register_it = dlsym(plugin, "plugin_register");
    if (!register_it) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    register_it();
}

static uint8_t *
read_file(const char *name, size_t *size)
{
    FILE *file = fopen(name, "rb");
    uint8_t *data = NULL;

    if (!file) {
        perror(name);
        exit(1);
    }
    for (*size = 0;;) {
        data = (uint8_t *)realloc(data, *size + 65536);
        const size_t got = fread(data + *size, 1, 65536, file);
        if (got == 0)
            break;
        *size += got;
    }
    fclose(file);
    return data;
}

/* In a block of its exact size, so that a sanitizer sees a read beyond. */
static void
run(const uint8_t *data, size_t size)
{
    uint8_t *exact = (uint8_t *)malloc(size ? size : 1);

    memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static void
run_log(const uint8_t *data, size_t size)
{
    for (size_t at = 0; at + 4 <= size;) {
        const size_t length = (size_t)data[at] << 24 | (size_t)data[at + 1] << 16 |
                              (size_t)data[at + 2] << 8 | data[at + 3];
        at += 4;
        if (length > size - at)
            break;
        run(data + at, length);
        at += length;
    }
}

int
main(int argc, char **argv)
{
    int first = 2;
    const int is_log = argc > 2 && strcmp(argv[2], "--log") == 0;

    if (argc < 3 || (plugin = dlopen(argv[1], RTLD_NOW)) == NULL) {
        fprintf(stderr, "%s\n",
                argc < 3 ? "Usage: replay_facetime PLUGIN [--log] FILE..." : dlerror());
        return 1;
    }
    setenv("FUZZ_INPUTS_PER_FILE", is_log ? "1000000000" : "1", is_log);
    unsetenv("FUZZ_LOG");
    LLVMFuzzerInitialize(&argc, &argv);
    for (first += is_log; first < argc; first++) {
        size_t size;
        uint8_t *data = read_file(argv[first], &size);
        (is_log ? run_log : run)(data, size);
        free(data);
        printf("%s\n", argv[first]);
        fflush(stdout);
    }
    return 0;
}
