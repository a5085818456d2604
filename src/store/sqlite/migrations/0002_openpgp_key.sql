-- What the mail share of a contact is encrypted to, in ASCII armour. Erased with its address.
ALTER TABLE contact ADD COLUMN openpgp_key TEXT;
