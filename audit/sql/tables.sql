-- Tables of the audit log. No foreign key leaves or joins them: entries may go (retention) while seals stay, and a key to
-- tenants would lock the busiest row of the database. Hashes are 32 bytes, times microseconds since 1970.

CREATE TABLE audit_entry (
    id          bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    tenant_id   uuid   NOT NULL,
    body        text   NOT NULL,
    body_hash   bytea  NOT NULL,
    received_us bigint NOT NULL,
    -- Read from the body by the database, so that no filter can say something else than what is hashed.
    uid         uuid   GENERATED ALWAYS AS ((body::jsonb ->> 'id')::uuid) STORED NOT NULL,
    kind        text   GENERATED ALWAYS AS (body::jsonb ->> 'kind') STORED NOT NULL,
    action_id   text   GENERATED ALWAYS AS (body::jsonb ->> 'action_id') STORED,
    effect      text   GENERATED ALWAYS AS (body::jsonb ->> 'effect') STORED,
    decision    text   GENERATED ALWAYS AS (body::jsonb ->> 'decision') STORED,
    mode        text   GENERATED ALWAYS AS (body::jsonb ->> 'mode') STORED,
    rule        text   GENERATED ALWAYS AS (body::jsonb #>> '{rule,id}') STORED,
    actor       text   GENERATED ALWAYS AS (body::jsonb #>> '{actor,id}') STORED,
    review      text   GENERATED ALWAYS AS (body::jsonb #>> '{review,id}') STORED,
    decided_us  bigint GENERATED ALWAYS AS ((body::jsonb ->> 'decided_at_us')::bigint) STORED NOT NULL,
    CONSTRAINT entry_body_is_printable_ascii CHECK (body ~ '^[\x20-\x7e]+$'),
    CONSTRAINT entry_body_is_at_most_64_kib CHECK (octet_length(body) <= 65536),
    CONSTRAINT entry_body_hash_is_32_bytes CHECK (octet_length(body_hash) = 32)
);
CREATE INDEX audit_entry_by_uid ON audit_entry (tenant_id, uid);
CREATE INDEX audit_entry_by_id ON audit_entry (tenant_id, id DESC);
CREATE INDEX audit_entry_by_kind ON audit_entry (tenant_id, kind, id DESC);
CREATE INDEX audit_entry_by_actor ON audit_entry (tenant_id, actor, id DESC);
CREATE INDEX audit_entry_by_action ON audit_entry (tenant_id, action_id, id DESC) WHERE action_id IS NOT NULL;
CREATE INDEX audit_entry_by_rule ON audit_entry (tenant_id, rule, id DESC) WHERE rule IS NOT NULL;
CREATE INDEX audit_entry_by_review ON audit_entry (tenant_id, review, id DESC) WHERE review IS NOT NULL;
-- "allow" is nearly every row: an index would not help to find it, and would cost each intake.
CREATE INDEX audit_entry_by_effect ON audit_entry (tenant_id, effect, id DESC) WHERE effect <> 'allow';
CREATE INDEX audit_entry_by_decision ON audit_entry (tenant_id, decision, id DESC) WHERE decision <> 'allow';

CREATE TABLE audit_pending (
    tenant_id uuid   NOT NULL,
    entry_id  bigint NOT NULL,
    PRIMARY KEY (tenant_id, entry_id)
);

CREATE TABLE audit_log (
    id        bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id uuid    NOT NULL,
    epoch     integer NOT NULL,
    origin    text    NOT NULL,
    CONSTRAINT log_origin_is_never_reused UNIQUE (origin),
    CONSTRAINT log_has_one_row_per_epoch UNIQUE (tenant_id, epoch),
    CONSTRAINT log_origin_is_well_formed
        CHECK (length(origin) <= 128 AND origin ~ '^[a-z0-9.-]+(/[A-Za-z0-9._~-]+)+$')
);

CREATE TABLE audit_head (
    log_id      bigint PRIMARY KEY,
    tenant_id   uuid   NOT NULL,
    size        bigint NOT NULL,
    row_hash    bytea  NOT NULL,
    recorded_us bigint NOT NULL,
    CONSTRAINT head_is_one_per_tenant UNIQUE (tenant_id),
    CONSTRAINT head_row_hash_is_32_bytes CHECK (octet_length(row_hash) = 32)
);

CREATE TABLE audit_seal (
    log_id      bigint NOT NULL,
    seq         bigint NOT NULL,
    tenant_id   uuid   NOT NULL,
    entry_id    bigint NOT NULL,
    body_hash   bytea  NOT NULL,
    recorded_us bigint NOT NULL,
    row_hash    bytea  NOT NULL,
    PRIMARY KEY (log_id, seq),
    CONSTRAINT seal_is_one_per_entry UNIQUE (entry_id),
    CONSTRAINT seal_row_hash_is_unique_in_its_log UNIQUE (log_id, row_hash),
    CONSTRAINT seal_seq_is_not_negative CHECK (seq >= 0),
    CONSTRAINT seal_hashes_are_32_bytes CHECK (octet_length(body_hash) = 32 AND octet_length(row_hash) = 32)
);
CREATE INDEX audit_seal_by_tenant ON audit_seal (tenant_id, seq DESC);

CREATE TABLE audit_checkpoint (
    log_id    bigint      NOT NULL,
    size      bigint      NOT NULL,
    tenant_id uuid        NOT NULL,
    root      bytea       NOT NULL,
    note      text        NOT NULL,
    signed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (log_id, size),
    CONSTRAINT checkpoint_root_is_32_bytes CHECK (octet_length(root) = 32),
    CONSTRAINT checkpoint_size_is_positive CHECK (size > 0)
);
CREATE INDEX audit_checkpoint_by_tenant ON audit_checkpoint (tenant_id, size DESC);

CREATE TABLE audit_disclosure (
    entry_id   bigint NOT NULL,
    digest     text   NOT NULL,
    tenant_id  uuid   NOT NULL,
    key_id     bigint,          -- NULL: `ciphertext` holds the plain UTF-8 text
    ciphertext bytea  NOT NULL,
    PRIMARY KEY (entry_id, digest),
    CONSTRAINT disclosure_digest_is_sha256_base64url CHECK (digest ~ '^[A-Za-z0-9_-]{43}$')
);
CREATE INDEX audit_disclosure_by_tenant ON audit_disclosure (tenant_id, digest);
