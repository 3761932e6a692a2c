"""Who is in a data set, and whom does a model fail? Audits from counts that add up.

Everything follows from one exact table of counts (`counts.Cube`): rates and their differences between groups, tests,
intervals, representation, calibration. No second pass over rows is ever needed. An audit assesses disparity and says
whose annotation a group is; that no difference was shown is no proof that there is none.
"""
