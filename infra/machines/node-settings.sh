# Settings of Ray that count on every node, for the scripts beside this file. To be sourced.
# A node that dies is noticed within seconds; processes that read and write are kept between batches.
export RAY_health_check_initial_delay_ms=1000 RAY_health_check_period_ms=1000
export RAY_health_check_timeout_ms=5000 RAY_health_check_failure_threshold=4
export RAY_idle_worker_killing_time_threshold_ms=120000
export RAY_USAGE_STATS_ENABLED=0
# Everybody shows the same token: RAY_AUTH_TOKEN, or that of RAY_AUTH_TOKEN_PATH, or of ~/.ray/auth_token. Without one none
# starts, since a head would make one of its own, which no other machine has.
export RAY_AUTH_MODE="${RAY_AUTH_MODE:-token}"
token_file=${RAY_AUTH_TOKEN_PATH:-~/.ray/auth_token}
if [ "$RAY_AUTH_MODE" = token ] && [ -z "${RAY_AUTH_TOKEN:-}" ] && [ ! -s "$token_file" ]; then
    echo "no token in $token_file: ray get-auth-token --generate makes one in ~/.ray/auth_token, to be copied to all machines" >&2
    exit 2
fi
# What a node that is told to go may take to save states.
export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S="${RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S:-60}"
