# test: result=fails
FROM base
STOPSIGNAL SIGNOTHING
