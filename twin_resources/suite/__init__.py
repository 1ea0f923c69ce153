"""What every model is measured on besides an author's own text: texts, questions and instructions of ours."""
