{{ conformed("events", at="event_at", staged="window") }}
