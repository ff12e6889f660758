# test: build-arg=A=passed
FROM base
ENV A=environment
ARG A
RUN echo $A >/x
