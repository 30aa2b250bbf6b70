{{ conformed("consents") }}
