FROM base
CMD ["a", "b c", "$HOME"]
