# Settings of Ray that count on every node, for the scripts beside this file. To be sourced.
# A node that dies is noticed within seconds; processes that read and write are kept between batches.
export RAY_health_check_initial_delay_ms=1000 RAY_health_check_period_ms=1000
export RAY_health_check_timeout_ms=5000 RAY_health_check_failure_threshold=4
export RAY_idle_worker_killing_time_threshold_ms=120000
export RAY_USAGE_STATS_ENABLED=0
# Everybody shows the token of ~/.ray/auth_token or RAY_AUTH_TOKEN, which is the same on all machines.
export RAY_AUTH_MODE="${RAY_AUTH_MODE:-token}"
# What a node that is told to go may take to save states.
export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S="${RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S:-60}"
