"""What an answer should be: inputs of checks, and judges of what comes back, a file for each file of the bank.

A student's process needs none of it to work on an answer, and a sandbox hides this folder: the truth is never where the
student's code runs. Each file has ``EXAMINERS``, by the name that the answer has.
"""
