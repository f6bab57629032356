/* ws-compat.h
 * All API drift between Wireshark 4.0, 4.2, 4.4, 4.6 and what 5.0 announces, as far as the
 * plugin meets it. Nothing else in the tree tests a version.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef WS_COMPAT_H
#define WS_COMPAT_H

#include <wireshark.h>
#include <ws_version.h>

#define WS_AT_LEAST(major, minor) \
    (WIRESHARK_VERSION_MAJOR > (major) || \
     (WIRESHARK_VERSION_MAJOR == (major) && WIRESHARK_VERSION_MINOR >= (minor)))

/* For what each packet of any file comes through: called twice, it would stay a function. */
#ifdef __GNUC__ /* clang, too */
#define FT_INLINE inline __attribute__((always_inline))
#else
#define FT_INLINE inline
#endif

/* Heuristic dissectors return it and boolean preferences point at it: gboolean is four bytes in
 * 4.0, where a plain bool preference would be written past its end. */
#if WS_AT_LEAST(4, 4)
typedef bool ws_bool;
#else
#include <stdbool.h>
typedef gboolean ws_bool;
#endif

#if !WS_AT_LEAST(4, 4)
#define tvb_get_uint8       tvb_get_guint8
#define tvb_find_uint8      tvb_find_guint8
#define uint32_to_str_buf   guint32_to_str_buf
#endif

/* Searches: 5.0 tells with a bool whether anything was found, and puts where behind a pointer.
 * Both return as before: the offset, -1 if there is none; the length of a line, of all that is
 * left where no end of a line comes. */
#if WS_AT_LEAST(5, 0)
#include <epan/tvbuff.h>

static inline int
ws_find_uint8(tvbuff_t *tvb, int offset, int length, uint8_t needle)
{
    unsigned found;

    return tvb_find_uint8_length(tvb, (unsigned)offset, (unsigned)length, needle, &found)
               ? (int)found
               : -1;
}

static inline int
ws_find_line_end(tvbuff_t *tvb, int offset, int *next)
{
    unsigned length, after;

    if (!tvb_find_line_end_remaining(tvb, (unsigned)offset, &length, &after)) {
        length = tvb_captured_length_remaining(tvb, offset);
        after = tvb_captured_length(tvb);
    }
    *next = (int)after;
    return (int)length;
}
#else
#define ws_find_uint8(tvb, offset, length, needle) tvb_find_uint8(tvb, offset, length, needle)
#define ws_find_line_end(tvb, offset, next)        tvb_find_line_end(tvb, offset, -1, next, FALSE)
#endif

/* tfs_yes_no and its like. */
#if WS_AT_LEAST(4, 6)
#include <epan/tfs.h>
#endif

/* Units of BASE_UNIT_STRING: checked for their type since 4.4. */
#if !WS_AT_LEAST(4, 4)
#define UNS(units) (units)
#endif

/* What starts a -z statistic: since 4.6 it says whether it could, before it ended the program
 * where it could not. */
#if WS_AT_LEAST(4, 6)
typedef bool ws_stat_start;
#define WS_STAT_STARTED     return true
#define WS_STAT_NOT_STARTED return false
#else
typedef void ws_stat_start;
#define WS_STAT_STARTED     return
#define WS_STAT_NOT_STARTED exit(1)
#endif

/* Conversation filters: 4.4 hands every callback a pointer of the caller's. */
#if WS_AT_LEAST(4, 4)
#define WS_FILTER_ARGUMENTS packet_info *pinfo, void *user_data _U_
#define ws_register_conversation_filter(proto, name, valid, build) \
    register_conversation_filter(proto, name, valid, build, NULL)
#else
#define WS_FILTER_ARGUMENTS packet_info *pinfo
#define ws_register_conversation_filter(proto, name, valid, build) \
    register_conversation_filter(proto, name, valid, build)
#endif

/* The menu Telephony. */
#if WS_AT_LEAST(4, 4)
#define WS_GROUP_TELEPHONY REGISTER_TELEPHONY_GROUP_UNSORTED
#else
#define WS_GROUP_TELEPHONY REGISTER_STAT_GROUP_TELEPHONY
#endif

/* Entries of a packet's menu: what is called hears of the packet's fields, too. data is given away:
 * Wireshark frees it (4.4.19 and 4.6.9 do when they end). */
#if WS_AT_LEAST(4, 4)
#include <epan/funnel.h>
#define ws_register_packet_menu(name, field, callback, data) \
    funnel_register_packet_menu(name, field, callback, data, false)
#else
#define ws_register_packet_menu(name, field, callback, data) ((void)(callback), g_free(data))
#endif

/* Flow graphs: epan/sequence_analysis.h is in no package, so its structures stand here as far as
 * the plugin goes into them, for the versions they were tried on. Items come from Wireshark,
 * which knows their size. */
#if WIRESHARK_VERSION_MAJOR == 4 && \
    (WIRESHARK_VERSION_MINOR == 0 || WIRESHARK_VERSION_MINOR == 4 || WIRESHARK_VERSION_MINOR == 6)
#include <epan/tap.h>
#define WS_SEQUENCE_ANALYSIS

typedef struct {
    uint32_t frame_number;
    address  src_addr;
    uint16_t port_src;
    address  dst_addr;
    uint16_t port_dst;
    char    *frame_label, *time_str, *comment;
    uint16_t conv_num;
    unsigned fg_color, bg_color;
    ws_bool  has_color_filter;
    ws_bool  display;
} ws_sequence_item;

typedef struct {
    const char *name;
    ws_bool     any_addr;
    int         nconv;
    GQueue     *items;
} ws_sequence_info;

WS_DLL_PUBLIC void register_seq_analysis(const char *name, const char *ui_name, const int proto_id,
                                         const char *tap_listener, unsigned tap_flags,
                                         tap_packet_cb tap_func);
WS_DLL_PUBLIC ws_sequence_item *sequence_analysis_create_sai_with_addresses(packet_info *pinfo,
                                                                            ws_sequence_info *info);
WS_DLL_PUBLIC void sequence_analysis_use_color_filter(packet_info *pinfo, ws_sequence_item *item);
#endif

/* Names of values: 4.6 wants the allocator first. */
#if WS_AT_LEAST(4, 6)
#define ws_val_to_str(pool, value, strings, fmt) val_to_str(pool, value, strings, fmt)
#else
#define ws_val_to_str(pool, value, strings, fmt) val_to_str(value, strings, fmt)
#endif

/* Dynamic payload types: 4.4 wants the number of channels. */
#if WS_AT_LEAST(4, 4)
#define ws_rtp_dyn_payload_insert(table, type, name, rate) \
    rtp_dyn_payload_insert(table, type, name, rate, 1)
#else
#define ws_rtp_dyn_payload_insert(table, type, name, rate) \
    rtp_dyn_payload_insert(table, type, name, rate)
#endif

/* The submenu separator in the name of a stats tree. */
#if WS_AT_LEAST(4, 4)
#define WS_MENU_SEPARATOR "//"
#else
#define WS_MENU_SEPARATOR "/"
#endif

#endif
