{{ conformed("identities") }}
