/* plugin/plugin.h
 * What plugin.c registers besides the protocols.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_PLUGIN_H
#define FT_PLUGIN_H

/* -z facetime,calls and -z facetime,timeline */
void register_tap_listener_facetime_reports(void);

/* -z facetime,streams */
void register_tap_listener_facetime_streams(void);

/* -z facetime,packets */
void register_tap_listener_facetime_packets(void);

/* -z facetime,signalling */
void register_tap_listener_facetime_signalling(void);

/* -z facetime,pairs */
void register_tap_listener_facetime_setup(void);

/* -z facetime,about */
void register_tap_listener_facetime_about(void);

/* These are registered with the protocols, for sharkd, which never asks for tap listeners. */

/* Statistics > FaceTime, -z facetime,tree, stat:facetime */
void register_facetime_statistics(void);

/* Analyze > Conversation Filter */
void register_facetime_filters(void);

/* Telephony > FaceTime Calls, -z facetime,calltable, nstat:facetime,calltable */
void register_facetime_tables(void);

/* Statistics > Service Response Time > FaceTime, -z facetime,srt, srt:facetime */
void register_facetime_response_times(void);

/* Statistics > Conversations, Endpoints, tab FaceTime; -z conv,facetime, endpoints,facetime,
 * conv:FaceTime, endpt:FaceTime */
void register_facetime_conversations(void);

/* Statistics > Flow Graph, flow type FaceTime Flows; -z flow,facetime,standard, seqa:facetime */
void register_facetime_flowgraph(void);

/* Tools > FaceTime, and a right click on a packet */
void register_facetime_menu(void);

#endif
