/* plugin.c
 * What makes the dissectors one plugin: the version symbols that Wireshark looks for, and the
 * list of protocols.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plugin/plugin.h"

#include "ws-compat.h"
#include <epan/proto.h>
#include <epan/tap.h>

/* X(name): one row a file in the root folder */
#define PROTOCOLS(X) \
    X(facetime) \
    X(facetime_late) \
    X(gkstun) \
    X(facetime_sip) \
    X(facetime_sdp) \
    X(snatmap) \
    X(commnat) \
    X(quickrelay) \
    X(facetime_link) \
    X(facetime_control) \
    X(facetime_rtp) \
    X(facetime_rtcp) \
    X(baseband) \
    X(gamekit)

#define DECLARE(name) \
    void proto_register_##name(void); \
    void proto_reg_handoff_##name(void);
PROTOCOLS(DECLARE)

WS_DLL_PUBLIC_DEF const char plugin_version[] = PLUGIN_VERSION;
WS_DLL_PUBLIC_DEF const int plugin_want_major = WIRESHARK_VERSION_MAJOR;
WS_DLL_PUBLIC_DEF const int plugin_want_minor = WIRESHARK_VERSION_MINOR;

WS_DLL_PUBLIC void plugin_register(void);
WS_DLL_PUBLIC uint32_t plugin_describe(void);

static void
register_protocols(void)
{
#define REGISTER(name) proto_register_##name();
    PROTOCOLS(REGISTER)
    register_facetime_statistics();
    register_facetime_filters();
    register_facetime_tables();
    register_facetime_response_times();
    register_facetime_conversations();
    register_facetime_flowgraph();
    register_facetime_menu();
}

static void
hand_off_protocols(void)
{
#define HAND_OFF(name) proto_reg_handoff_##name();
    PROTOCOLS(HAND_OFF)
}

void
plugin_register(void)
{
    static proto_plugin protocols = { register_protocols, hand_off_protocols };
    static tap_plugin reports = { register_tap_listener_facetime_reports };
    static tap_plugin streams = { register_tap_listener_facetime_streams };
    static tap_plugin packets = { register_tap_listener_facetime_packets };
    static tap_plugin signalling = { register_tap_listener_facetime_signalling };
    static tap_plugin setup = { register_tap_listener_facetime_setup };
    static tap_plugin about = { register_tap_listener_facetime_about };

    proto_register_plugin(&protocols);
    tap_register_plugin(&reports);
    tap_register_plugin(&streams);
    tap_register_plugin(&packets);
    tap_register_plugin(&signalling);
    tap_register_plugin(&setup);
    tap_register_plugin(&about);
}

/* Wireshark 4.4 and later ask what kind of plugin this is: 1 is a dissector. */
uint32_t
plugin_describe(void)
{
    return 1;
}
