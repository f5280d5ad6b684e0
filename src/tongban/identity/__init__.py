"""Who a question is about: identifiers with check digits, typed domains, packing, pseudonyms."""
