# test: target=none result=fails
FROM base
