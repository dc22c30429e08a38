"""What an answer should be: inputs of checks, and judges of what comes back, a file for each file of the bank.

A student's process needs none of it to work on an answer, and a sandbox hides this folder: the truth is never where the
student's code runs. The judge of an answer is ``judge_ANSWER``, and what draws its inputs, if there are any, ``draw_ANSWER``.
"""
