FROM base
SHELL ["/bin/sh", "-ec"]
RUN echo $0 >/x
CMD echo cmd
ENTRYPOINT echo entry
