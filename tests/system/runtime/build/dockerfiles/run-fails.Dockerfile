# test: result=fails
FROM base
RUN exit 3
