-- The tables are a fold of `entry`. Times are milliseconds since 1970 in UTC, digests are 32 bytes, lists that are
-- only read as a whole are JSON. Erasable tables, which the journal cannot restore: organisation, contact, request_address, share,
-- fetch.

CREATE TABLE head (
  id          INTEGER PRIMARY KEY CHECK (id = 1),
  instance    BLOB NOT NULL CHECK (length(instance) = 16),
  size        INTEGER NOT NULL CHECK (size >= 0),
  time        INTEGER NOT NULL,
  frontier    BLOB NOT NULL CHECK (length(frontier) % 32 = 8),
  checkpoint  TEXT NOT NULL
) STRICT;

CREATE TABLE entry (
  seq          INTEGER PRIMARY KEY,
  application  TEXT,
  bytes        BLOB NOT NULL
) STRICT;
CREATE INDEX entry_of_application ON entry (application, seq) WHERE application IS NOT NULL;
CREATE TRIGGER entry_is_not_changed BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'an entry is never changed'); END;
CREATE TRIGGER entry_is_not_removed BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'an entry is never removed'); END;

CREATE TABLE agreement (
  party    TEXT NOT NULL,
  id       TEXT NOT NULL,
  state    TEXT NOT NULL,
  changed  INTEGER NOT NULL,
  PRIMARY KEY (party, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX agreement_by_change ON agreement (changed);

CREATE TABLE campaign (
  id        TEXT NOT NULL PRIMARY KEY,
  opened    INTEGER NOT NULL,
  filter    TEXT NOT NULL,
  replaces  TEXT NOT NULL,
  reason    TEXT NOT NULL,
  case_id   TEXT,
  matched   INTEGER NOT NULL,
  bound     INTEGER,
  ordered   INTEGER NOT NULL,
  outcome   TEXT,
  closed    INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE client (
  number           INTEGER PRIMARY KEY,
  application      TEXT NOT NULL UNIQUE,
  environment      TEXT NOT NULL,
  party            TEXT NOT NULL,
  software         TEXT NOT NULL,
  apis             TEXT NOT NULL,
  contacts         TEXT NOT NULL,
  agreement        TEXT,
  needs_agreement  INTEGER NOT NULL CHECK (needs_agreement IN (0, 1)),
  agreed           TEXT,
  agreed_as_of     INTEGER,
  cases            TEXT NOT NULL,
  pins             TEXT NOT NULL,
  registered       INTEGER NOT NULL,
  last_version     INTEGER NOT NULL,
  issuance         TEXT NOT NULL,
  in_campaign      INTEGER NOT NULL CHECK (in_campaign IN (0, 1)),
  next_attempt     INTEGER,
  next_deadline    INTEGER
) STRICT;
CREATE INDEX client_of_party ON client (party, environment);
CREATE INDEX client_of_agreement ON client (party, agreement) WHERE needs_agreement = 1;
-- Single orders first, then those of campaigns: each has its queue.
CREATE INDEX client_to_attempt ON client (in_campaign, next_attempt) WHERE next_attempt IS NOT NULL;
CREATE INDEX client_with_deadline ON client (next_deadline) WHERE next_deadline IS NOT NULL;

-- Cases that were granted to a client of an earlier one: another name for it.
CREATE TABLE client_case (
  granted      TEXT NOT NULL PRIMARY KEY,
  application  TEXT NOT NULL REFERENCES client (application)
) STRICT, WITHOUT ROWID;

CREATE TABLE client_key (
  application  TEXT NOT NULL REFERENCES client (application),
  label        TEXT NOT NULL,
  client_id    TEXT NOT NULL UNIQUE,
  PRIMARY KEY (application, label)
) STRICT, WITHOUT ROWID;

CREATE TABLE issuance (
  number       INTEGER PRIMARY KEY,
  id           TEXT NOT NULL UNIQUE,
  application  TEXT NOT NULL REFERENCES client (application),
  state        TEXT NOT NULL,
  version      INTEGER,
  not_before   INTEGER,
  cause        TEXT,
  replaces     TEXT NOT NULL,
  opened       INTEGER NOT NULL,
  changed      INTEGER NOT NULL,
  attempts     INTEGER NOT NULL,
  campaign     TEXT REFERENCES campaign (id)
) STRICT;
-- A campaign re-issues a client once, even against a fault in the program.
CREATE UNIQUE INDEX issuance_of_campaign ON issuance (campaign, application) WHERE campaign IS NOT NULL;
CREATE INDEX issuance_of_application ON issuance (application);

CREATE TABLE credential (
  application   TEXT NOT NULL REFERENCES client (application),
  version       INTEGER NOT NULL,
  issuance      TEXT NOT NULL REFERENCES issuance (id),
  reference     TEXT NOT NULL UNIQUE,
  message_id    TEXT NOT NULL,
  state         TEXT NOT NULL,
  instant       INTEGER,
  cause         TEXT,
  generated     INTEGER NOT NULL,
  window_ends   INTEGER NOT NULL,
  life_ends     INTEGER,
  told_days     INTEGER,
  reminded      INTEGER NOT NULL CHECK (reminded IN (0, 1)),
  fetches       INTEGER NOT NULL,
  wrong_proofs  INTEGER NOT NULL,
  refusals      INTEGER NOT NULL,
  PRIMARY KEY (application, version)
) STRICT, WITHOUT ROWID;
-- The two rules that must hold even against a fault in the program.
CREATE UNIQUE INDEX credential_active ON credential (application) WHERE state = 'active';
CREATE UNIQUE INDEX credential_on_its_way ON credential (application) WHERE state IN ('generated', 'mailed');
CREATE INDEX credential_retiring ON credential (application) WHERE state = 'retiring';
CREATE INDEX credential_by_message_id ON credential (message_id);

CREATE TABLE credential_key (
  application  TEXT NOT NULL,
  version      INTEGER NOT NULL,
  label        TEXT NOT NULL,
  verifier     BLOB NOT NULL CHECK (length(verifier) = 32),
  proof        BLOB NOT NULL CHECK (length(proof) = 32),
  sealed       BLOB NOT NULL CHECK (length(sealed) = 32),
  PRIMARY KEY (application, version, label),
  FOREIGN KEY (application, version) REFERENCES credential (application, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE notice (
  id           TEXT NOT NULL PRIMARY KEY,
  application  TEXT NOT NULL REFERENCES client (application),
  what         TEXT NOT NULL,
  contact      TEXT,
  reference    TEXT,
  attempts     INTEGER NOT NULL,
  state        TEXT NOT NULL,
  not_before   INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX notice_of_application ON notice (application, state);
CREATE INDEX notice_to_send ON notice (not_before) WHERE not_before IS NOT NULL;

-- What waits for a second person, or did. The id is a digest of the content.
CREATE TABLE request (
  number       INTEGER PRIMARY KEY,
  id           TEXT NOT NULL UNIQUE,
  application  TEXT REFERENCES client (application),
  content      TEXT NOT NULL,
  state        TEXT NOT NULL,
  own_attempts INTEGER NOT NULL,
  reports      TEXT NOT NULL,
  expires      INTEGER,
  next_report  INTEGER
) STRICT;
CREATE INDEX request_waiting ON request (expires) WHERE expires IS NOT NULL;
CREATE INDEX request_waiting_about ON request (application) WHERE expires IS NOT NULL;
CREATE INDEX request_to_report ON request (next_report) WHERE next_report IS NOT NULL;

CREATE TABLE event (
  source       TEXT NOT NULL,
  id           TEXT NOT NULL,
  body         BLOB NOT NULL CHECK (length(body) = 32),
  outcome      TEXT NOT NULL,
  application  TEXT REFERENCES client (application),
  issuance     TEXT,
  PRIMARY KEY (source, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE organisation (
  party   TEXT NOT NULL PRIMARY KEY,
  number  TEXT NOT NULL,
  name    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE contact (
  id           TEXT NOT NULL PRIMARY KEY,
  application  TEXT NOT NULL REFERENCES client (application),
  email        TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE request_address (
  request  TEXT NOT NULL PRIMARY KEY REFERENCES request (id),
  email    TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX contact_of_application ON contact (application);

CREATE TABLE share (
  application  TEXT NOT NULL,
  version      INTEGER NOT NULL,
  label        TEXT NOT NULL,
  epoch        INTEGER NOT NULL,
  sealed       BLOB NOT NULL,
  PRIMARY KEY (application, version, label),
  FOREIGN KEY (application, version) REFERENCES credential (application, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE fetch (
  application  TEXT NOT NULL,
  version      INTEGER NOT NULL,
  number       INTEGER NOT NULL,
  time         INTEGER NOT NULL,
  network      TEXT NOT NULL,
  certificate  BLOB NOT NULL CHECK (length(certificate) = 32),
  PRIMARY KEY (application, version, number),
  FOREIGN KEY (application, version) REFERENCES credential (application, version)
) STRICT, WITHOUT ROWID;
