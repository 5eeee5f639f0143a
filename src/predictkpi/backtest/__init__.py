"""Who grades: cutoffs, truth, metrics and the gate. Predictors, baselines and the CRM's own numbers are judged alike."""
