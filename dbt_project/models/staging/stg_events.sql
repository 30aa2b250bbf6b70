{{ conformed("events", at="event_at") }}
