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

/* -z facetime,pairs */
void register_tap_listener_facetime_setup(void);

/* Statistics > FaceTime and -z facetime,tree */
void register_tap_listener_facetime_statistics(void);

#endif
