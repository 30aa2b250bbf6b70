{{ conformed("channel_costs") }}
