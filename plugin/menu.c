/* plugin/menu.c
 * Tools > FaceTime, and from Wireshark 4.4 on a packet's menu (right click): the timeline in a
 * window, a call's filter, a colour for each call, its report as a page.
 *
 * Wireshark runs an entry when it is clicked, whatever is open then: what is told comes from the
 * open file, and of "this call" it is the selected packet's. tshark has no menus.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/plugin.h"
#include "plugin/filters.h"
#include "plugin/timeline.h"

#include "ws-compat.h"
#include <epan/epan_dissect.h>
#include <epan/funnel.h>
#include <epan/plugin_if.h>
#include <cfile.h>

/* The writer of pages (tools/call-report), as it is installed. */
#define REPORTER "facetime-call-report"

/* A window with more text takes seconds to open. */
#define MAX_WINDOW_TEXT (4 * 1024 * 1024)

/* Of its lines, which go on below their last column; that begins here at the latest. */
#define LINE_WIDTH  120
#define LAST_COLUMN 64

/* What is open, as it was when the entry was clicked. */
typedef struct {
    const char    *file;    /* NULL: none is */
    bool           is_read; /* all of it */
    const ft_call *call;    /* of the selected packet; or NULL */
} open_capture;

static void *
look_at(capture_file *cf, void *user)
{
    open_capture *capture = (open_capture *)user;

    if (cf->state == FILE_CLOSED)
        return NULL;
    capture->file = cf->filename;
    capture->is_read = cf->state == FILE_READ_DONE;
    capture->call = cf->edt ? call_of_shown(&cf->edt->pi) : NULL;
    return NULL;
}

static const funnel_ops_t *
gui(void)
{
    return funnel_get_funnel_ops();
}

static funnel_text_window_t *
show(const char *title, const char *text)
{
    funnel_text_window_t *window = gui()->new_text_window(gui()->ops_id, title);

    gui()->set_text(window, text);
    return window;
}

/* ---- the timeline ---- */

static void
shorten(char *text)
{
    static const char rest[] =
        "\n(too long for a window: tshark -q -z facetime,timeline has all)\n";

    if (strlen(text) <= MAX_WINDOW_TEXT)
        return;
    char *end = text + MAX_WINDOW_TEXT - sizeof rest;
    while (*end != '\n')
        end--;
    memcpy(end, rest, sizeof rest);
}

/* Where the last column begins: behind the last gap of two blanks. */
static size_t
last_column(const char *line, size_t length)
{
    size_t column = 0;

    for (size_t i = 2; i < length && i <= LAST_COLUMN; i++) {
        if (line[i] != ' ' && line[i - 1] == ' ' && line[i - 2] == ' ')
            column = i;
    }
    return column;
}

/* A window would go on at its left edge. */
static void
append_wrapped(GString *text, const char *line, size_t length)
{
    const size_t column = last_column(line, length);
    size_t room = LINE_WIDTH, least = column;

    while (length > room) {
        size_t end = room;
        while (end > least && line[end] != ' ')
            end--;
        if (end == least)
            break;
        g_string_append_len(text, line, (gssize)end);
        g_string_append_printf(text, "\n%*s", (int)column, "");
        line += end + 1;
        length -= end + 1;
        room = LINE_WIDTH - column;
        least = 0;
    }
    g_string_append_len(text, line, (gssize)length);
}

static char *
wrapped(const char *story)
{
    GString *text = g_string_new(NULL);

    while (*story) {
        const size_t length = strcspn(story, "\n");
        append_wrapped(text, story, length);
        story += length;
        for (; *story == '\n'; story++)
            g_string_append_c(text, '\n');
    }
    return g_string_free(text, FALSE);
}

/* Its first line is the report's title, so no text of a stranger makes Wireshark take it for
 * HTML. */
static void
show_timeline(const open_capture *capture, const ft_call *only)
{
    char *name = g_path_get_basename(capture->file);
    char *title = only ? g_strdup_printf("FaceTime Timeline of Call %u: %s", only->number, name)
                       : g_strdup_printf("FaceTime Timeline: %s", name);
    char *story = timeline_text(only);
    char *lines = wrapped(g_strchug(story));
    char *text = g_strdup_printf("%s%s", lines,
                                 capture->is_read ? "" : "\n(the file is still being read)\n");

    shorten(text);
    show(title, text);
    g_free(text);
    g_free(lines);
    g_free(story);
    g_free(title);
    g_free(name);
}

static void
timeline(const open_capture *capture)
{
    show_timeline(capture, NULL);
}

static void
timeline_of_call(const open_capture *capture)
{
    show_timeline(capture, capture->call);
}

/* ---- filter and colours ---- */

static void
filter_call(const open_capture *capture)
{
    char *filter = g_strdup_printf("facetime.call == %u", capture->call->number);

    gui()->set_filter(gui()->ops_id, filter);
    gui()->apply_filter(gui()->ops_id);
    g_free(filter);
}

/* Wireshark's ten temporary colours (View > Colorize Conversation), in turns; Reset Colorization
 * there takes them away. */
#define COLOURS 10

static void
colour_calls(const open_capture *capture _U_)
{
    for (int i = 1; i <= COLOURS; i++) {
        char *filter = g_strdup_printf("facetime.call %% %d == %d", COLOURS, i % COLOURS);
        gui()->set_color_filter_slot((uint8_t)i, filter);
        g_free(filter);
    }
    gui()->redissect_packets(gui()->ops_id);
}

/* ---- the report ---- */

typedef struct { char *capture, *page; } report_order;

static void
free_order(void *data)
{
    report_order *order = (report_order *)data;

    g_free(order->capture);
    g_free(order->page);
    g_free(order);
}

static ws_bool
open_page(funnel_text_window_t *window, void *data)
{
    const char *page = (const char *)data;
    char *url = g_filename_to_uri(page, NULL, NULL);

    if (url && g_file_test(page, G_FILE_TEST_EXISTS))
        gui()->browser_open_url(url);
    else
        gui()->append_text(window, "\nIt isn't there yet.");
    g_free(url);
    return TRUE;
}

static void
add_open_button(funnel_text_window_t *window, const char *page)
{
    funnel_bt_t *button = g_new0(funnel_bt_t, 1);

    *button = (funnel_bt_t){ window, open_page, g_strdup(page), g_free, g_free };
    gui()->add_button(window, button, "Open the page");
}

/* The command as a shell takes it, and by hand it says what goes wrong. */
static char *
command_text(char *const *command)
{
    GString *text = g_string_new(NULL);

    for (; *command; command++) {
        char *word = g_shell_quote(*command);
        g_string_append_printf(text, "%s%s", text->len ? " " : "", word);
        g_free(word);
    }
    return g_string_free(text, FALSE);
}

static void
say_how(const char *command, const char *why)
{
    char *text = g_strdup_printf("FaceTime report: not written (%s).\n\n"
                                 "Pages are written by " REPORTER ", which is installed with the "
                                 "plugin's package; in the source tree it is tools/call-report. "
                                 "It needs python3-jinja2 and tshark with this plugin:\n\n    %s\n",
                                 why, command);

    show("FaceTime Report", text);
    g_free(text);
}

static void
write_page(const char *capture, const char *page, char *call)
{
    char *path = g_find_program_in_path(REPORTER);
    char *command[] = { path ? path : (char *)REPORTER,
                        (char *)capture,
                        (char *)"-o",
                        (char *)page,
                        (char *)(*call ? "--call" : NULL),
                        call,
                        NULL };
    char *shown = command_text(command);
    GError *error = NULL;

    if (!path) {
        say_how(shown, REPORTER " isn't installed");
    } else if (!g_spawn_async(NULL, command, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, &error)) {
        say_how(shown, error->message);
        g_clear_error(&error);
    } else {
        char *text = g_strdup_printf("FaceTime report: being written, which takes as long as "
                                     "reading the capture.\n\n    %s\n",
                                     shown);
        add_open_button(show("FaceTime Report", text), page);
        g_free(text);
    }
    g_free(shown);
    g_free(path);
}

/* answers: page, call */
static void
write_ordered(char **answers, void *data)
{
    const report_order *order = (const report_order *)data;

    if (*answers[0])
        write_page(order->capture, answers[0], g_strstrip(answers[1]));
    g_strfreev(answers);
}

/* Not beside the capture: evidence is left alone. */
static char *
page_of(const char *capture)
{
    char *name = g_path_get_basename(capture);
    char *dot = strrchr(name, '.');

    if (dot && dot != name)
        *dot = '\0';
    char *page = g_strdup_printf("%s%c%s.html", g_get_home_dir(), G_DIR_SEPARATOR, name);
    g_free(name);
    return page;
}

static void
order_report(const open_capture *capture)
{
    static const char *questions[] = { "Page", "Call (all, if empty)", NULL };
    report_order *order = g_new(report_order, 1);
    char *call = capture->call ? g_strdup_printf("%u", capture->call->number) : g_strdup("");

    /* the command is shown, and may be run in another folder */
    *order = (report_order){ g_canonicalize_filename(capture->file, NULL),
                             page_of(capture->file) };
    const char *answers[] = { order->page, call, NULL };
    gui()->new_dialog(gui()->ops_id, "FaceTime Report", questions, answers, write_ordered, order,
                      free_order);
    g_free(call);
}

/* ---- the entries ---- */

/* label, what it does, of one call, also in a packet's menu */
static const struct entry {
    const char *label;
    void      (*run)(const open_capture *capture);
    bool        of_call, of_packet;
} entries[] = {
    { "FaceTime/Timeline",              timeline,         false, false },
    { "FaceTime/Timeline of This Call", timeline_of_call, true,  true },
    { "FaceTime/Filter This Call",      filter_call,      true,  true },
    { "FaceTime/Colour Each Call",      colour_calls,     false, false },
    { "FaceTime/Report...",             order_report,     false, true },
};

static void
run_entry(void *data)
{
    const struct entry *entry = (const struct entry *)data;
    open_capture capture = { NULL, false, NULL };

    plugin_if_get_capture_file(look_at, &capture);
    if (!capture.file)
        show("FaceTime", "No capture is open.");
    else if (entry->of_call && !capture.call)
        show("FaceTime", "Select a packet of a FaceTime call first: column Call, or the filter "
                         "facetime.call.");
    else
        entry->run(&capture);
}

static void
run_packet_entry(void *data, GPtrArray *fields _U_)
{
    run_entry(data);
}

/* Wireshark frees what it keeps for a packet's menu. */
static void
register_packet_entry(const struct entry *entry)
{
    struct entry *own = g_new(struct entry, 1);

    *own = *entry;
    ws_register_packet_menu(entry->label, "facetime.call", run_packet_entry, own);
}

void
register_facetime_menu(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(entries); i++) {
        funnel_register_menu(entries[i].label, REGISTER_TOOLS_GROUP_UNSORTED, run_entry,
                             (void *)&entries[i], NULL, FALSE);
        if (entries[i].of_packet)
            register_packet_entry(&entries[i]);
    }
}
