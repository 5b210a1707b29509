\set n :first + :client_id * :share + :i
\set i :i + 1
BEGIN;
UPDATE streams SET seq = 6, hash = :hash, state = convert_to(:state::text, 'UTF8'), status = 'completed', flagged = false, on_review = false WHERE stream = 'payment/019a3c7e-5b1f-7d2c-9e4a-' || lpad(:n::text, 12, '0') AND seq = 5;
INSERT INTO refs (key, stream) VALUES (:object::text || 'ch_' || left(md5('ch' || :n::text), 24), 'payment/019a3c7e-5b1f-7d2c-9e4a-' || lpad(:n::text, 12, '0'));
INSERT INTO inbox (event_id, type, origin, received_at, body, status, reason, attempts, stream) VALUES ('evt_' || left(md5('evt' || :n::text), 24), 'payment_intent.succeeded', 'platform', :at, convert_to(:body::text, 'UTF8'), 'applied', NULL, 0, 'payment/019a3c7e-5b1f-7d2c-9e4a-' || lpad(:n::text, 12, '0'));
INSERT INTO journal (stream, seq, event_id, type, at, actor, data, rules_version, prev_hash, hash) VALUES ('payment/019a3c7e-5b1f-7d2c-9e4a-' || lpad(:n::text, 12, '0'), 6, '01900006-0000-7000-9000-' || lpad(:n::text, 12, '0'), 'PaymentCompleted', :at, :actor, convert_to(:fact::text, 'UTF8'), 1, :hash, :hash);
INSERT INTO postings (stream, seq, line, book, account, currency, amount_cents) VALUES ('payment/019a3c7e-5b1f-7d2c-9e4a-' || lpad(:n::text, 12, '0'), 6, 0, :account, 'stripe_clearing', 'usd', 12500);
INSERT INTO postings (stream, seq, line, book, account, currency, amount_cents) VALUES ('payment/019a3c7e-5b1f-7d2c-9e4a-' || lpad(:n::text, 12, '0'), 6, 1, :account, :payable, 'usd', -12500);
INSERT INTO work (queue, key, due_at, attempts, published_seq, head_seq) VALUES ('outbox', 'payment/019a3c7e-5b1f-7d2c-9e4a-' || lpad(:n::text, 12, '0'), :at, 0, 5, 6);
UPDATE work SET due_at = :at, attempts = 0, lease = NULL, leased_until = NULL, parked_at = NULL, reason = NULL WHERE queue = 'attention' AND key = 'payment/019a3c7e-5b1f-7d2c-9e4a-' || lpad(:n::text, 12, '0');
COMMIT;
