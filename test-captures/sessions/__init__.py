# SPDX-License-Identifier: GPL-2.0-or-later
"""{name: builder} of the five sessions of the 2015 report. common.py says how they are told."""

from .callee import Callee
from .caller import Caller
from .dropmidcall import DropMidCall
from .nop2p import SameNetNoP2P
from .samenet import SameNet

SESSIONS = {
    "facetime-caller": lambda: Caller().cap,
    "facetime-callee": lambda: Callee().cap,
    "facetime-samenet": lambda: SameNet().cap,
    "facetime-samenet-nop2p": lambda: SameNetNoP2P().cap,
    "facetime-dropmidcall": lambda: DropMidCall().cap,
}
