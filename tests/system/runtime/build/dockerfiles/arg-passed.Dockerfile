# test: build-arg=A=passed build-arg=B=also
FROM base
ARG A=default
ARG B
RUN echo "$A $B" >/x
ENV A=$A
