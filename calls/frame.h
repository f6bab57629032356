/* calls/frame.h
 * Frames: a number of our own for each, and what is remembered of the few that have something to
 * tell.
 *
 * Wireshark's frame numbers repeat while a read filter (-R) drops packets: the next packet bears
 * the number again. An id here is the number plus the packets dropped so far, so ids never
 * repeat and stand in the order of the file; without a read filter they are the numbers. All
 * memory ("as of", links) is kept by id, and only what a user sees is a number. A dropped packet
 * is known by the next one that bears its number.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_FRAME_H
#define FT_FRAME_H

#include "calls/types.h"

struct ft_call;
struct ft_event;
struct ft_packet;

/* What is remembered of a frame, for as long as the file is open. It hangs on the frame itself. */
typedef struct ft_frame {
    uint32_t         id;
    struct ft_event *events;        /* in the order of recording; NULL if none */
    struct ft_call  *call;          /* of a packet that isn't in its leg's call; else NULL */
    /* the call that a packet of Apple's servers went before, or NULL */
    struct ft_call  *prepared;
    uint32_t         prepared_from; /* id of the frame that told it */
    uint32_t         seen_before;   /* id of the frame that was this datagram's first copy, or 0 */
    bool             is_copy;       /* nothing was learnt from it */
    /* media, as the call's other end sees it: nothing was learnt from it either */
    bool             at_other_end;
    struct ft_flow  *flow;          /* of a copy: the 5-tuple that is learnt from */
    /* and what is remembered of the one that was learnt from: what is found out of that later is
     * the copy's */
    const struct ft_frame *first;
    /* RTP packets of its stream missing before this one, as known here */
    uint32_t         lost_before;
} ft_frame;

/* The frame's id: where a record may be in hand, ft_frame_id() (calls/packet.h) has it there. */
uint32_t ft_frame_find_id(const packet_info *pinfo);

/* The number to show for an id; 0 where that packet was dropped, or for id 0. */
uint32_t ft_frame_number(uint32_t id);

/* The link to a frame as a generated item; none where it is 0 or was dropped. */
proto_item *ft_show_frame(proto_tree *tree, int hf, tvbuff_t *tvb, int offset, int length,
                          uint32_t id);

/* Seconds from the capture's first frame to a time of ft_now(); before it, negative. */
double ft_since_start(const nstime_t *time);

/* The times of the file's earliest and latest frame so far; zero where none had a time. */
void ft_frame_span(nstime_t *first, nstime_t *last);

/* First pass: the steady time (calls/steady.h) of FaceTime's newest packet, the one in hand; and
 * of the file's end so far: that, and what frame times passed since. */
void ft_frame_keep_steady(const packet_info *pinfo, const nstime_t *steady);
nstime_t ft_frame_steady_end(void);

/* What is remembered of the frame in hand: NULL if nothing is. */
ft_frame *ft_frame_get(packet_info *pinfo);

/* The same, made where there is none (first pass only: NULL else). */
ft_frame *ft_frame_make(packet_info *pinfo);

/* First pass: what is remembered of one of the latest frames, by its id; NULL if nothing is. */
ft_frame *ft_frame_lately(uint32_t id);

/* The record of a packet that is shown, for who asks after its dissection: as long as pinfo is
 * the packet's. NULL where none was set. */
void ft_frame_show_packet(packet_info *pinfo, struct ft_packet *packet);
const struct ft_packet *ft_frame_shown_packet(packet_info *pinfo);

/* How many datagrams of the frame were counted before this one: a TCP segment, a tunnel or an
 * ICMP error holds several. */
unsigned ft_frame_next_part(const packet_info *pinfo);

/* The frame that was noted last, for the next one to be compared with. */
typedef struct {
    nstime_t end;    /* the file's latest time so far; zero where nothing had one */
    uint32_t next;   /* number of the next frame; 0 where that must have a closer look */
    uint32_t number; /* of the one noted, where next is 0 */
    int64_t  offset; /* in the file: what tells two packets with one number apart */
} ft_frame_noted;

extern G_GNUC_INTERNAL ft_frame_noted ft_frame_last;

/* Notes a frame that comes next, and is later than all before it, as nearly all are: then it is
 * little, and costs others' packets little. No such frame was visited before, and none of its
 * datagrams is counted yet. `end` is after 1970 then, so ft_passed() would carry nothing, and a
 * frame without a time isn't later: its record has zero there, or the time of one before it. */
static inline bool
ft_frame_note_next(const packet_info *pinfo)
{
    const frame_data *frame = pinfo->fd;

    if (pinfo->num != ft_frame_last.next)
        return false;

    const time_t secs = frame->abs_ts.secs - frame->shift_offset.secs;
    const int nsecs = frame->abs_ts.nsecs - frame->shift_offset.nsecs;
    if (secs == ft_frame_last.end.secs) {
        if (nsecs <= ft_frame_last.end.nsecs)
            return false;
    } else {
        if (secs < ft_frame_last.end.secs || nsecs < 0)
            return false;
        ft_frame_last.end.secs = secs;
    }
    ft_frame_last.end.nsecs = nsecs;
    ft_frame_last.next = pinfo->num + 1;
    ft_frame_last.offset = frame->file_off;
    return true;
}

/* The frame in hand is done with, on whatever pass: its datagrams are counted anew when it is
 * dissected again. Must be told of each frame that isn't noted as above, on the first pass, so
 * that dropped ones are known. */
void ft_frame_end(const packet_info *pinfo);

/* Once, when the front door is registered; proto: whose per-frame data it is. */
void ft_frame_init(int proto);

#endif
