/* tests/forks.c
 * For the tests only (LD_PRELOAD): one tshark that reads many captures. Most of a start is spent
 * on the registration of three thousand protocols, before the first setting or option is looked
 * at; here tshark waits at that point, and a child of it goes on for each request of forks.py:
 *
 *    tshark: epan_init() -> epan_load_settings() here: request, fork, wait, status, request ...
 *                             \- child: settings, ws_getopt_long() with the request's options,
 *                                       the capture, the end, as in any tshark
 *
 *    request    options, each ended by a zero, with three files: standard input, output, error
 *    answers    the child's process id; then, when it has ended, its status
 *
 * What tshark reads from its options before that point (-V, say) it has from its own command
 * line: forks.py has a tshark for each. But for the capture's name (-r), which is put right when
 * it is opened.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_REQUEST (128 * 1024)
#define MAX_OPTIONS 4096
#define FILES       3

void *epan_load_settings(void);
int ws_getopt_long(int count, char *const *options, const char *letters, const void *words,
                   int *which);
void *wtap_open_offline(const char *name, unsigned type, int *error, char **text, int random);
void epan_cleanup(void);

extern int ws_optind __attribute__((weak)); /* the next option; setpriv, which starts tshark, has none */

static char request[MAX_REQUEST + 1];
static char *options[MAX_OPTIONS + 2] = { "tshark" };
static int option_count;

static void
split_request(size_t length)
{
    option_count = 1;
    for (char *at = request; at < request + length && option_count <= MAX_OPTIONS;
         at += strlen(at) + 1)
        options[option_count++] = at;
}

/* The length of a request, whose files stand in for the child's; 0 at the end. */
static size_t
receive(int server, int *files)
{
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(FILES * sizeof(int))];
    } control;
    struct iovec data = { request, MAX_REQUEST };
    struct msghdr message = { .msg_iov = &data,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof control };
    ssize_t length;

    do
        length = recvmsg(server, &message, 0);
    while (length < 0 && errno == EINTR);
    if (length <= 0 || !CMSG_FIRSTHDR(&message) || message.msg_flags & MSG_TRUNC)
        return 0;
    request[length] = '\0';
    memcpy(files, CMSG_DATA(CMSG_FIRSTHDR(&message)), FILES * sizeof(int));
    return (size_t)length;
}

static void
answer(int server, int number)
{
    if (send(server, &number, sizeof number, MSG_NOSIGNAL) < 0)
        _exit(1);
}

/* Returns in each child, never in the tshark that was started. */
static void
serve(int server)
{
    int files[FILES], status;
    size_t length;

    while ((length = receive(server, files)) > 0) {
        const pid_t child = fork();
        if (child == 0) {
            for (int i = 0; i < FILES; i++) {
                dup2(files[i], i);
                close(files[i]);
            }
            close(server);
            split_request(length);
            return;
        }
        for (int i = 0; i < FILES; i++)
            close(files[i]);
        answer(server, child);
        if (child < 0 || waitpid(child, &status, 0) < 0)
            _exit(1);
        answer(server, status);
    }
    _exit(0);
}

void *
epan_load_settings(void)
{
    void *(*stock)(void) = (void *(*)(void))dlsym(RTLD_NEXT, "epan_load_settings");
    const char *server = getenv("FACETIME_FORKS");

    if (server && option_count == 0) {
        answer(atoi(server), 0);
        serve(atoi(server));
    }
    return stock();
}

/* A child ends without giving back what it shares with its parent: writing to all of that costs
 * more than reading most captures. */
void
epan_cleanup(void)
{
    void (*stock)(void) = (void (*)(void))dlsym(RTLD_NEXT, "epan_cleanup");

    if (option_count == 0)
        stock();
}

static const char *
capture_of_request(void)
{
    for (int i = 1; i + 1 < option_count; i++) {
        if (strcmp(options[i], "-r") == 0)
            return options[i + 1];
    }
    return NULL;
}

void *
wtap_open_offline(const char *name, unsigned type, int *error, char **text, int random)
{
    void *(*stock)(const char *, unsigned, int *, char **, int) =
        (void *(*)(const char *, unsigned, int *, char **, int))dlsym(RTLD_NEXT,
                                                                      "wtap_open_offline");
    const char *wanted = capture_of_request();

    return stock(wanted ? wanted : name, type, error, text, random);
}

int
ws_getopt_long(int count, char *const *given, const char *letters, const void *words, int *which)
{
    static int (*stock)(int, char *const *, const char *, const void *, int *);

    if (!stock)
        stock = (int (*)(int, char *const *, const char *, const void *, int *))dlsym(
            RTLD_NEXT, "ws_getopt_long");
    if (option_count == 0)
        return stock(count, given, letters, words, which);

    const int found = stock(option_count, options, letters, words, which);
    if (found == -1 && ws_optind < option_count) { /* tshark would look for it in its own */
        fprintf(stderr, "%s: a filter without -Y\n", options[ws_optind]);
        exit(2);
    }
    return found;
}
