/* wire/sdp_text.h
 * The text of an SDP: how much of it is looked at, what its lines promise of media, what of it
 * stock SDP may see.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_SDP_TEXT_H
#define FT_SDP_TEXT_H

#include "calls/media.h"
#include "wire/piece.h"

/* Bounds. An SDP of a call has 1 to 2 KiB in some 40 lines. */
#define SDP_MAX_LENGTH      8192    /* bytes of SDP that are shown, by stock SDP too */
#define SDP_MAX_LINES       512     /* lines of them */
#define SDP_MAX_MEDIA       8       /* m= lines that are remembered */
#define SDP_MAX_FORMATS     32      /* payload types of each */

/* One m= line with what belongs to it. */
typedef struct {
    ft_sdp_medium medium;
    uint8_t formats[SDP_MAX_FORMATS];
    unsigned format_count;
    ft_codec rtpmap[128]; /* name NULL where there is no a=rtpmap */
} sdp_media_t;

typedef struct {
    packet_info *pinfo;
    tvbuff_t *tvb;    /* of the text */
    proto_tree *tree; /* of FaceTime SDP */
    proto_item *line_item;
    piece_t text; /* as far as it is looked at: at most SDP_MAX_LENGTH */
    bool cut;     /* the last line may not be whole */
    sdp_media_t *media[SDP_MAX_MEDIA];
    unsigned media_count;
    unsigned media_shown;  /* m= lines shown so far */
    uint64_t fmtp_seen[2]; /* payload types with a=fmtp since the last m= line */
    unsigned odd;          /* bits of ODD_... */
    unsigned bad_values;
} sdp_t;

/* Where the text is longer than what is looked at: the end of the last line within. */
int sdp_bounded_length(const char *text, int length);

/* Reads what the lines of each m= say, before any line is shown: a=rtpmap stands behind the m=
 * line that it names. */
void sdp_collect_media(sdp_t *sdp);

/* The name of a payload type of an m= line: from its a=rtpmap, else from FaceTime's own table;
 * or NULL. */
const ft_codec *sdp_media_codec(const sdp_media_t *media, uint8_t payload_type);

/* Hands to the memory what the SDP promises. First pass (else a no-op). */
void sdp_learn_media(sdp_t *sdp);

/* The text as stock SDP gets it: whole lines, without those that it objects to. NULL if none is
 * left. */
tvbuff_t *sdp_text_for_stock(const sdp_t *sdp);

#endif
