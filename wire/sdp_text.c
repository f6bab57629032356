/* wire/sdp_text.c
 * What an SDP says of media, read before any line is shown:
 *
 *    m=video 16402 RTP/AVP 126 123 100  a medium, its port and its payload types
 *    a=rtpmap:123 H264/90000            names one of them; Apple leaves it out where its own table
 *                                       knows the number
 *    a=rtpID:1911967383                 the SSRC
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "wire/sdp_text.h"
#include "calls/text.h"

#include <string.h>

/* The name of a payload type of an m= line: from its a=rtpmap, else from FaceTime's own table;
 * or NULL. */
const ft_codec *
sdp_media_codec(const sdp_media_t *media, uint8_t payload_type)
{
    if (media && media->rtpmap[payload_type].name)
        return &media->rtpmap[payload_type];
    return ft_codec_known(FT_LEGACY, payload_type);
}

/* m=video 16402 RTP/AVP 126 123 100 */
static sdp_media_t *
collect_media_line(sdp_t *sdp, piece_t value)
{
    piece_t kind = piece_split(&value, ' '), port = piece_split(&value, ' ');
    sdp_media_t *media;
    uint64_t number;

    if (sdp->media_count == SDP_MAX_MEDIA)
        return NULL;
    media = wmem_new0(sdp->pinfo->pool, sdp_media_t);
    sdp->media[sdp->media_count++] = media;
    media->medium.is_video = piece_is(kind, "video");
    if (piece_number(port, UINT16_MAX, &number))
        media->medium.port = (uint16_t)number;
    piece_split(&value, ' '); /* RTP/AVP */
    while (value.length > 0 && media->format_count < SDP_MAX_FORMATS) {
        if (piece_number(piece_split(&value, ' '), 127, &number))
            media->formats[media->format_count++] = (uint8_t)number;
    }
    return media;
}

/* a=rtpmap:123 H264/90000 */
static void
collect_rtpmap(sdp_t *sdp, sdp_media_t *media, piece_t value)
{
    piece_t number = piece_split(&value, ' '), name = piece_split(&value, '/'),
            rate = piece_split(&value, '/');
    uint64_t payload_type, hertz;

    if (!piece_number(number, 127, &payload_type) || name.length == 0)
        return;
    media->rtpmap[payload_type].payload_type = (uint8_t)payload_type;
    media->rtpmap[payload_type].name =
        ft_text_keep(sdp->pinfo->pool, name.text, (size_t)name.length, FT_MAX_CODEC_NAME);
    media->rtpmap[payload_type].clock_rate =
        piece_number(rate, UINT32_MAX, &hertz) ? (uint32_t)hertz : 0;
}

/* Reads what the lines of each m= say, before any line is shown: a=rtpmap stands behind the m=
 * line that it names. */
void
sdp_collect_media(sdp_t *sdp)
{
    piece_t rest = sdp->text;
    sdp_media_t *media = NULL;
    uint64_t number;

    while (rest.length > 0) {
        piece_t line = piece_line(&rest);

        if (piece_starts(line, "m="))
            media = collect_media_line(sdp, piece_skip(line, 2));
        else if (media && piece_starts(line, "a=rtpmap:"))
            collect_rtpmap(sdp, media, piece_skip(line, 9));
        else if (media && piece_starts(line, "a=rtpID:") &&
                 piece_number(piece_skip(line, 8), UINT32_MAX, &number))
            media->medium.ssrc = (uint32_t)number;
    }
}

/* Hands to the memory what the SDP promises. */
void
sdp_learn_media(sdp_t *sdp)
{
    ft_sdp_medium media[SDP_MAX_MEDIA];

    for (unsigned i = 0; i < sdp->media_count; i++) {
        sdp_media_t *from = sdp->media[i];
        ft_codec *codecs = wmem_alloc_array(sdp->pinfo->pool, ft_codec, SDP_MAX_FORMATS);

        media[i] = from->medium;
        media[i].codecs = codecs;
        for (unsigned j = 0; j < from->format_count; j++) {
            const ft_codec *codec = sdp_media_codec(from, from->formats[j]);

            if (codec)
                codecs[media[i].codec_count++] = *codec;
        }
    }
    ft_media_sdp(sdp->pinfo, media, sdp->media_count);
}

/* Where the text is longer than what is looked at: the end of the last line within. */
int
sdp_bounded_length(const char *text, int length)
{
    int at = 0;

    for (int lines = 0; at < length && lines < SDP_MAX_LINES; lines++) {
        const char *end = (const char *)memchr(text + at, '\n', (size_t)(length - at));
        int next = end ? (int)(end - text) + 1 : length;

        if (next > SDP_MAX_LENGTH)
            return at > 0 ? at : SDP_MAX_LENGTH;
        at = next;
    }
    return at;
}

/* Stock SDP calls a=fmtp an error where it has a codec's name for a payload type. */
static bool
stock_objects(piece_t line)
{
    return piece_starts(line, "a=fmtp:") && line.length > 7 && g_ascii_isalpha(line.text[7]);
}

/* The text as stock SDP gets it: whole lines, without those that it objects to. NULL if none is
 * left. */
tvbuff_t *
sdp_text_for_stock(const sdp_t *sdp)
{
    piece_t rest = sdp->text;
    char *kept = (char *)wmem_alloc(sdp->pinfo->pool, (size_t)sdp->text.length);
    int length = 0, looked_at = 0;
    tvbuff_t *tvb;

    while (rest.length > 0) {
        piece_t start = rest, line = piece_line(&rest);
        int with_end = start.length - rest.length;

        if (sdp->cut && rest.length == 0)
            break;
        looked_at += with_end;
        if (stock_objects(line))
            continue;
        memcpy(kept + length, start.text, (size_t)with_end);
        length += with_end;
    }
    if (length == 0)
        return NULL;
    if (length == looked_at)
        return tvb_new_subset_length(sdp->tvb, 0, length);
    tvb = tvb_new_child_real_data(sdp->tvb, (const uint8_t *)kept, (unsigned)length, length);
    add_new_data_source(sdp->pinfo, tvb, "SDP without a=fmtp by codec name");
    return tvb;
}
