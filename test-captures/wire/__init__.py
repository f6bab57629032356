# SPDX-License-Identifier: GPL-2.0-or-later
"""The wire formats that the captures are written in, one module a protocol.

Every builder returns a `Wire`: the bytes of the message together with what the generator knows of
them. That knowledge is the truth which tests compare the plugin with; it is never read back from
the bytes.
"""


class Wire(bytes):
    """Bytes, and beside them `.truth`: a dict of what was written (keys: see scenario.py)."""

    def __new__(cls, data, **truth):
        self = super().__new__(cls, data)
        self.truth = truth
        return self

    def knowing(self, **more):
        """The same bytes with more known about them; `fields` are merged, the rest replaced."""
        truth = {**self.truth, **more}
        if "fields" in more and "fields" in self.truth:
            truth["fields"] = {**self.truth["fields"], **more["fields"]}
        return Wire(self, **truth)


def truth_of(data):
    """What is known of `data`: a Wire's truth, nothing for plain bytes."""
    return getattr(data, "truth", {})
