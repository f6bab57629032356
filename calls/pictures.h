/* calls/pictures.h
 * The pictures of a video stream: how many, how many of them lacked packets, when nothing new
 * could be shown.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_PICTURES_H
#define FT_PICTURES_H

#include "calls/measures.h"

/* A packet of video. ticks: its timestamp, extended; media: media time. True where it begins a
 * picture. First pass. */
bool ft_picture_learn(packet_info *pinfo, ft_quality *quality, const ft_media_facts *facts,
                      int64_t ticks, int64_t media);

typedef struct {
    uint32_t seen, complete, incomplete, missing;
    bool     has_info;
    double   mean, least;       /* a second */
    bool     has_rate;
    int64_t  median;            /* interval, microseconds, 0 of none */
    uint32_t fec_repairable;    /* lost packets */
} ft_picture_counts;

/* All pictures, open ones included. freezes: of ft_pause, filled with those that count. */
ft_picture_counts ft_pictures_count(const ft_quality *quality, wmem_array_t *freezes);

/* Once, when the front door is registered. */
void ft_pictures_init(void);

#endif
