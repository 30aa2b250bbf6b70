{{ conformed("subscriptions") }}
