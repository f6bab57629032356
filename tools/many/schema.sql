-- What facetime-many writes, and views for the usual questions. Row for row of the taps' JSON (docs/*.schema.json); the
-- columns json hold each call (as -z facetime,timeline,json) and each stream (facetime,streams,json) whole.
--
-- SPDX-License-Identifier: GPL-2.0-or-later

CREATE TABLE files (
    id         INTEGER PRIMARY KEY,
    sha256     TEXT UNIQUE,         -- NULL where the file can't be read
    path       TEXT NOT NULL,       -- a name it was first found under (table paths: all); a BLOB where it is no UTF-8
    size       INTEGER,
    packets    INTEGER,
    first_time TEXT,                -- UTC, as all times here
    last_time  TEXT,
    plugin     TEXT,                -- versions that read it
    tshark     TEXT,
    prefilter  INTEGER NOT NULL DEFAULT 0,  -- 1: frames count what the prefilter let through
    status     TEXT NOT NULL,       -- ok, none (no FaceTime in it), partial (up to a damage, or a bound was met), failed
    reason     TEXT
);
CREATE INDEX files_size ON files (size);

CREATE TABLE paths (                -- every name of a content, and what tells that it is unchanged
    path     TEXT PRIMARY KEY,
    file_id  INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    size     INTEGER,
    mtime_ns INTEGER
);
CREATE INDEX paths_file ON paths (file_id);

CREATE TABLE calls (
    file_id        INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    call           INTEGER NOT NULL,    -- counts within its file
    call_group     TEXT NOT NULL,       -- the same for the parts of a call that several files have
    call_key       TEXT,
    is_call        INTEGER NOT NULL,    -- 0: a session that -z facetime,timeline tells and facetime,calls doesn't list
    generation     TEXT, mode TEXT,
    start_time     TEXT, end_time TEXT, duration REAL,
    first_frame    INTEGER, last_frame INTEGER, packets INTEGER,
    local          TEXT, remote TEXT, offer_from TEXT,
    state          TEXT, "end" TEXT, end_frame INTEGER, restart_of INTEGER,
    relay_packets  INTEGER NOT NULL, direct_packets INTEGER NOT NULL,
    clock          TEXT, capture_points INTEGER,
    json           TEXT NOT NULL,
    PRIMARY KEY (file_id, call)
) WITHOUT ROWID;
CREATE INDEX calls_group ON calls (call_group);

CREATE TABLE call_keys (
    file_id INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE, call INTEGER NOT NULL, key TEXT NOT NULL,
    PRIMARY KEY (file_id, call, key)
) WITHOUT ROWID;
CREATE INDEX call_keys_key ON call_keys (key);

CREATE TABLE streams (
    file_id INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE, call INTEGER NOT NULL, stream INTEGER NOT NULL,
    ssrc INTEGER, inside_quic INTEGER, direction TEXT, medium TEXT, codecs TEXT, sender TEXT,
    first_frame INTEGER, last_frame INTEGER, packets INTEGER, bytes INTEGER, copies INTEGER, seen_twice INTEGER,
    lost INTEGER, reordered INTEGER, bursts INTEGER, longest_burst INTEGER, duration REAL, clock TEXT, bitrate REAL,
    pictures INTEGER, pictures_incomplete INTEGER, pictures_missing INTEGER, frame_rate REAL,
    freezes INTEGER, frozen REAL, jitter REAL, jitter_max REAL, rtt_basis TEXT, rtt REAL, rtt_p95 REAL,
    relay TEXT, relay_port INTEGER,     -- that its media went through first
    relay_packets INTEGER, direct_packets INTEGER, relay_lost INTEGER, direct_lost INTEGER, -- lost: in the path's seconds
    json TEXT NOT NULL,
    PRIMARY KEY (file_id, stream)
) WITHOUT ROWID;

CREATE TABLE pairs (
    file_id INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE, call INTEGER NOT NULL,
    local TEXT, remote TEXT, sent INTEGER, answered INTEGER, first_frame INTEGER, last_frame INTEGER, rtt REAL,
    nominated INTEGER, media_packets INTEGER
);
CREATE INDEX pairs_call ON pairs (file_id, call);

CREATE TABLE addresses (            -- where a call's records name an address: whatever "what" is, the call met it
    file_id INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE, call INTEGER NOT NULL,
    address TEXT NOT NULL, port INTEGER, what TEXT NOT NULL, frame INTEGER
);
CREATE INDEX addresses_call ON addresses (file_id, call);
CREATE INDEX addresses_address ON addresses (address);

CREATE TABLE findings (
    file_id INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE, call INTEGER NOT NULL,
    code TEXT NOT NULL, severity TEXT NOT NULL, text TEXT NOT NULL, frames TEXT NOT NULL    -- a JSON array
);
CREATE INDEX findings_call ON findings (file_id, call);
CREATE INDEX findings_code ON findings (code);

CREATE TABLE events (
    file_id INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE, call INTEGER NOT NULL,
    frame INTEGER, time REAL, path TEXT, event TEXT NOT NULL, text TEXT, other_frame INTEGER
);
CREATE INDEX events_call ON events (file_id, call);

-- Calls whose parts are in several files (a ring buffer's; both ends' captures) are one row. Who is local, and which way a stream
-- goes, is what the earliest part says: a file that begins in the middle of a call can't always tell the device from its peer.
-- Packets are as captured: what two captures saw counts twice. keyed: 0 where nothing in the record could join it to others.
CREATE VIEW joined_calls AS
SELECT call_group, parts, start_time, last AS end_time,
       round((julianday(last) - julianday(start_time)) * 86400, 3) AS duration, generation, mode, local,
       coalesce(remote, (SELECT x.remote FROM calls x WHERE x.call_group = f.call_group AND x.local = f.local
                         AND x.remote IS NOT NULL ORDER BY x.start_time LIMIT 1),
                (SELECT x.local FROM calls x WHERE x.call_group = f.call_group AND x.remote = f.local
                 ORDER BY x.start_time LIMIT 1)) AS remote,
       packets_of_all AS packets, relay_of_all AS relay_packets, direct_of_all AS direct_packets, end_of_all AS "end", keyed
FROM (SELECT *, row_number() OVER (joined ORDER BY start_time, local, call) AS number, count(*) OVER joined AS parts,
             max(end_time) OVER joined AS last, sum(packets) OVER joined AS packets_of_all,
             sum(relay_packets) OVER joined AS relay_of_all, sum(direct_packets) OVER joined AS direct_of_all,
             max("end") OVER joined AS end_of_all, max(call_key IS NOT NULL) OVER joined AS keyed
      FROM calls WHERE is_call WINDOW joined AS (PARTITION BY call_group)) f
WHERE number = 1;

-- A stream of a joined call: one SSRC. Losses between two files aren't in it: neither file can tell them.
CREATE VIEW joined_streams AS
SELECT c.call_group, s.ssrc, min(c.start_time) AS start_time, s.direction, s.medium, s.sender,     -- of the earliest part
       count(*) AS parts,
       sum(s.packets) AS packets, sum(s.bytes) AS bytes, sum(s.copies) AS copies, sum(s.lost) AS lost,
       sum(s.relay_packets) AS relay_packets, sum(s.direct_packets) AS direct_packets
FROM streams s JOIN calls c USING (file_id, call) WHERE c.is_call AND s.ssrc IS NOT NULL
GROUP BY c.call_group, s.ssrc;

-- Records without a key are a few packets of set-up that a file ends with: not counted as calls, where others have keys.
CREATE VIEW calls_per_hour AS
SELECT strftime('%Y-%m-%d %H:00', start_time) AS hour, count(*) FILTER (WHERE keyed) AS calls,
       count(*) FILTER (WHERE NOT keyed) AS records_without_key, round(avg(duration) FILTER (WHERE keyed), 1) AS mean_duration
FROM joined_calls GROUP BY hour ORDER BY hour;

-- ... WHERE address = '203.0.113.7'
CREATE VIEW calls_by_address AS
SELECT a.address, c.call_group, c.start_time, c.local, c.remote, group_concat(DISTINCT a.what) AS what,
       min(a.frame) AS frame, f.path, c.call
FROM addresses a JOIN calls c USING (file_id, call) JOIN files f ON f.id = a.file_id
GROUP BY a.address, a.file_id, a.call ORDER BY c.start_time;

CREATE VIEW worst_calls AS
SELECT c.call_group, min(c.start_time) AS start_time, sum(s.packets) AS packets, sum(s.lost) AS lost,
       round(100.0 * sum(s.lost) / max(1, sum(s.packets) + sum(s.lost)), 2) AS lost_percent,
       round(sum(s.frozen), 1) AS frozen, max(s.rtt) AS rtt, max(s.jitter) AS jitter,
       group_concat(DISTINCT c.local) AS local, group_concat(DISTINCT c.remote) AS remote
FROM calls c JOIN streams s USING (file_id, call) WHERE c.is_call AND s.packets
GROUP BY c.call_group ORDER BY lost_percent DESC, frozen DESC, c.call_group;

CREATE VIEW loss_by_relay AS
SELECT s.relay, count(DISTINCT c.call_group) AS calls, sum(s.relay_packets) AS packets, sum(s.relay_lost) AS lost,
       round(100.0 * sum(s.relay_lost) / max(1, sum(s.relay_packets) + sum(s.relay_lost)), 2) AS lost_percent
FROM streams s JOIN calls c USING (file_id, call) WHERE c.is_call AND s.relay_packets
GROUP BY s.relay ORDER BY lost_percent DESC, s.relay;

CREATE VIEW findings_by_code AS
SELECT x.code, x.severity, count(DISTINCT c.call_group) AS calls
FROM findings x JOIN calls c USING (file_id, call) WHERE c.is_call
GROUP BY x.code, x.severity ORDER BY calls DESC, x.code;

CREATE VIEW files_not_read AS
SELECT path, status, reason FROM files WHERE status IN ('failed', 'partial') ORDER BY path;
