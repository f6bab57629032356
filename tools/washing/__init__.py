# SPDX-License-Identifier: GPL-2.0-or-later
"""What tools/wash-capture is made of. files.py reads and writes captures, packets.py walks from the link layer to the
transport, messages.py knows FaceTime's datagrams, sip.py its texts, deflate.py the streams around these, and mask.py
decides what stands in whose place.

Two rules hold everywhere: nothing changes its length, and what isn't understood is overwritten."""
