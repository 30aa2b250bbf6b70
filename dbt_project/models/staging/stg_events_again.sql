{{ config(materialized="table") }} {{ arrived_again("events", at="event_at", staged="window") }}
