"""Pictures made smaller, in a process of its own: `encoders` has the turns, `process` is what the loop sees of it,
`worker` the program that runs there, `maker` what it makes, and `orders` how the two speak.
"""
