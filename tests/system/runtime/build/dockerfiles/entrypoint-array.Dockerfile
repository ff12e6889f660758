FROM base
ENTRYPOINT ["/bin/sh", "-c"]
CMD ["true"]
